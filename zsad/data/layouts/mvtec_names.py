"""Compare the folder names of a category in MVTec AD's arrangement with the names that the layout expects.

A finding stops a run if images or masks would be missed or misread; else it is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zsad.data.images import is_image
from zsad.data.layouts.base import Finding, checked_name, folders, images
from zsad.data.layouts.mask_files import called_masks, images_below, is_mask_folder, look_like_masks, masks_beside
from zsad.data.layouts.words import (
    DEFECT_WORDS,
    GOOD_WORDS,
    MASK_WORDS,
    TEST_WORDS,
    TRAIN_WORDS,
    means,
    plain,
    slips,
    spelled_alike,
)
from zsad.errors import nearest_hint


@dataclass(frozen=True)
class Names:
    """The folder names that a layout expects.

    Attributes:
        train, test, truth: folders in that of a category.
        goods: names of the folders of normal images.
        are_free: whether the names are parameters of the layout.
        has_labels: whether the test images are sorted into folders.
    """

    train: str
    test: str
    truth: str
    goods: tuple[str, ...]
    are_free: bool = False
    has_labels: bool = True

    def fix(self, found: str, expected: str, parameter: str) -> str:
        """How to correct a name, as an imperative."""
        other = f", or set dataset.params.{parameter} to '{found}'" if self.are_free else ""
        return f"rename it to '{expected}'{other}"

    def fix_good(self, found: str) -> str:
        """How to correct the name of a folder of normal images, as an imperative."""
        names = ", ".join([*self.goods, found])
        other = f", or set dataset.params.good to [{names}]" if self.are_free else ""
        return f"rename it to '{self.goods[0]}'{other}"


def find_slips(category: Path, names: Names) -> Iterator[Finding]:
    """All findings about the folder names of a category."""
    yield from _split_slips(category, names)
    yield from _truth_slips(category, names)
    yield from _training(category / names.train, names)
    if names.has_labels:
        yield from _tests(category / names.test, category / names.truth, names)
        yield from _masks(category / names.test, category / names.truth, names)


def misnamed_test(category: Path, names: Names) -> str:
    """The misspelled folder of test images of a folder that is not a category without it; empty if there is none."""
    words = TEST_WORDS if names.test == "test" else ()
    found = slips(names.test, [folder.name for folder in folders(category) if images_below(folder, 1)], words)
    return found[0] if found else ""


def _split_slips(category: Path, names: Names) -> Iterator[Finding]:
    """Folders of training or test images under other names, beside or instead of the expected ones."""
    for expected, words, parameter in ((names.train, TRAIN_WORDS, "train"), (names.test, TEST_WORDS, "test")):
        usual = words if expected == parameter else ()
        taken = {names.train, names.test, names.truth}
        others = [folder.name for folder in folders(category) if folder.name not in taken]
        found = [name for name in slips(expected, others, usual) if images_below(category / name, 1)]
        if not found:
            continue
        place = category / found[0]
        if not (category / expected).is_dir():
            fix = names.fix(found[0], expected, parameter)
            yield Finding(f"the images in {place} would not be read, since '{expected}' is expected; {fix}", stops=True)
        elif found[0].casefold() == expected.casefold():
            yield Finding(
                f"{category} has both '{expected}' and '{found[0]}', and only the first would be read; "
                "put their images into one folder",
                stops=True,
            )
        else:
            yield Finding(f"the images in {place} are left out, since '{expected}' exists beside it", stops=False)


def _truth_slips(category: Path, names: Names) -> Iterator[Finding]:
    """Folders of masks under other names."""
    truth = category / names.truth
    if truth.is_dir():
        same = [
            name for name in _names(truth.parent) if name.casefold() == truth.name.casefold() and name != truth.name
        ]
        if same:
            yield Finding(
                f"{truth.parent} has both '{truth.name}' and '{same[0]}', and only the first would be read; "
                "put the masks into one folder",
                stops=True,
            )
        return
    taken = (names.train, names.test)
    others = [folder for folder in folders(truth.parent) if folder.name not in taken and images_below(folder, 1)]
    for name in slips(truth.name, [folder.name for folder in others], MASK_WORDS):
        place = truth.parent / name
        if spelled_alike(name, truth.name) or is_mask_folder(place):
            fix = names.fix(name, truth.name, "ground_truth")
            yield Finding(
                f"the masks in {place} would not be read, since '{truth.name}' is expected; {fix}", stops=True
            )
            return


def _training(train: Path, names: Names) -> Iterator[Finding]:
    """Training images that would not be read."""
    inner = [folder for folder in folders(train) if folder.name not in names.goods and images_below(folder, 1)]
    has_good = any(images(train / good) for good in names.goods)
    if not has_good and (loose := images(train)):
        yield Finding(
            f"the {len(loose)} images in {train} itself would not be read, since '{names.goods[0]}' in it is expected; "
            f"move them to {train / names.goods[0]}",
            stops=True,
        )
    for folder in inner:
        if not has_good and not means(folder.name, DEFECT_WORDS):
            yield Finding(
                f"the training images in {folder} would not be read, since '{names.goods[0]}' is expected; "
                f"{names.fix_good(folder.name)}",
                stops=True,
            )
        elif any(folder.name.casefold() == good.casefold() for good in names.goods):
            yield Finding(
                f"the training images in {folder} would not be read beside '{names.goods[0]}'; "
                f"put them into one folder, or {names.fix_good(folder.name)}",
                stops=True,
            )
        elif means(folder.name, GOOD_WORDS):
            yield Finding(f"the images in {folder} are left out, although its name means good", stops=False)


def _tests(test: Path, truth: Path, names: Names) -> Iterator[Finding]:
    """Folders of test images that would be misread."""
    inside = truth.parent == test  # where its misspelled name has already been found
    kinds = [
        folder
        for folder in folders(test)
        if folder != truth and not (inside and spelled_alike(folder.name, truth.name))
    ]
    has_good = any(kind.name in names.goods for kind in kinds)
    for kind in kinds:
        paths = images(kind)
        if beside := masks_beside(paths):
            yield _masks_among_photographs(beside, truth / kind.name)
        elif look_like_masks(paths) and (means(kind.name, MASK_WORDS) or called_masks(paths)):
            yield _masks_among_photographs(paths, truth)
        elif not paths and (deeper := images_below(kind, 1)):
            yield Finding(
                f"the images in {deeper[0].parent} would not be read, since they are one folder too deep; "
                f"move them to {kind}, or to a folder beside it",
                stops=True,
            )
        elif not paths:
            yield Finding(f"{kind} has no image", stops=False)
        elif kind.name not in names.goods:
            yield from _good_in_disguise(kind, names, has_good=has_good)


def _good_in_disguise(kind: Path, names: Names, *, has_good: bool) -> Iterator[Finding]:
    """A folder of normal images that would be read as defective ones."""
    if any(kind.name.casefold() == good.casefold() for good in names.goods):
        is_good, stops = True, True
    else:
        alike = any(spelled_alike(kind.name, good) for good in names.goods)
        is_good, stops = means(kind.name, GOOD_WORDS) or alike, not has_good
    if is_good and stops:
        yield Finding(
            f"{kind} would be read as defects of type '{kind.name}'; if the images are normal, "
            f"{names.fix_good(kind.name)}",
            stops=True,
        )
    elif is_good:
        yield Finding(f"{kind} is read as defects, although its name means good and '{names.goods[0]}' exists", False)


def _masks_among_photographs(paths: Sequence[Path], truth: Path) -> Finding:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return Finding(
        f"{paths[0]}{more} seem to be masks and would be inspected as photographs; move them to {truth}", stops=True
    )


def _masks(test: Path, truth: Path, names: Names) -> Iterator[Finding]:
    """Folders of masks without their test images."""
    kinds = [name for name in _names(test) if name != truth.name and images(test / name)]
    for folder in folders(truth):
        if folder.name in (*kinds, *names.goods) or not images_below(folder, 1):
            continue
        twin = next((kind for kind in kinds if plain(kind) == plain(folder.name) and plain(kind)), None)
        if twin and not images_below(truth / twin, 1) and _digits(twin) == _digits(folder.name):
            yield Finding(
                f"the masks in {folder} would not be read, since their images are in {test / twin}; "
                "give both folders the same name",
                stops=True,
            )
        else:
            hint = nearest_hint(folder.name, kinds, or_all=False)
            yield Finding(f"the masks in {folder} are not read, since {test} has no such folder{hint}", stops=False)
    if loose := images(truth):
        yield Finding(f"the {len(loose)} masks in {truth} itself are not read; move them to a folder per defect", False)
    for kind in kinds:
        yield from _strangers(images(test / kind), truth / kind)


def _strangers(photographs: Sequence[Path], masks: Path) -> Iterator[Finding]:
    """A folder of masks in which no mask is named like an image."""
    if not masks.is_dir():
        return
    entries = [checked_name(path) for path in sorted(masks.iterdir()) if is_image(path) or path.is_dir()]
    known = {name for path in photographs for name in (path.stem, f"{path.stem}_mask")}
    if entries and not any((path.name if path.is_dir() else path.stem) in known for path in entries):
        example = photographs[0].stem
        yield Finding(
            f"no mask in {masks} has the name of an image, e.g. {entries[0].name}; "
            f"the mask of {photographs[0].name} must be called {example}_mask.png or {example}.png",
            stops=True,
        )


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))


def _names(folder: Path) -> list[str]:
    return [inner.name for inner in folders(folder)]
