"""Find masks, labels or the arrangement of a data set in what is given as a folder of photographs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from zsad.data.layouts.base import Finding, Take, checked_name, folders
from zsad.data.layouts.mask_files import called_masks, look_like_masks, masks_beside
from zsad.data.layouts.words import DEFECT_WORDS, GOOD_WORDS, MASK_WORDS, TEST_WORDS, TRAIN_WORDS, means


def check_photographs(root: Path, photographs: Sequence[Path], take: Take = checked_name) -> Iterator[Finding]:
    """All findings about the names in a folder whose images are to be inspected.

    Args:
        photographs: its images, including those in its sub-folders.
        take: see `folders`.
    """
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in photographs:
        by_folder[path.parent].append(path)
    tree = mvtec_tree(root, take)
    yield from _masks(root, by_folder, tree)
    if tree:
        yield Finding(
            f"{tree} has folders of training and test images like MVTec AD, but is inspected without labels and "
            f"references; {_as_mvtec(root, tree)} reads those",
            stops=False,
        )
    else:
        yield from _labels(root, by_folder)


def mvtec_tree(root: Path, take: Take = checked_name) -> Path | None:
    """The first folder with test images and training images or masks in folders of their own: root or one inside."""
    for folder in (root, *folders(root, take)):
        names = [inner.name for inner in folders(folder, take)]
        has_tests = any(means(name, TEST_WORDS) for name in names)
        if has_tests and any(means(name, TRAIN_WORDS) or means(name, MASK_WORDS) for name in names):
            return folder
    return None


def _as_mvtec(root: Path, tree: Path) -> str:
    place = root if tree != root else root.resolve().parent
    return f"dataset.layout 'mvtec' with dataset.root '{place}'"


def _masks(root: Path, by_folder: Mapping[Path, Sequence[Path]], tree: Path | None) -> Iterator[Finding]:
    """Masks that would be inspected as photographs; for many folders of masks, their common parent is named."""
    told: set[Path] = set()
    for folder, paths in by_folder.items():
        steps = folder.relative_to(root).parts
        called = next((depth for depth, name in enumerate(steps, 1) if means(name, MASK_WORDS)), 0)
        around = root.joinpath(*steps[:called]) if called else folder
        if around in told:
            continue
        beside = masks_beside(paths)
        if (called or (called_masks(paths) and steps)) and look_like_masks(paths):
            told.add(around)
            instead = f", or use {_as_mvtec(root, tree)}" if tree else ""
            yield Finding(
                f"{around} contains masks, which would be inspected as photographs; set dataset.params.leave_out to "
                f"['{around.relative_to(root).as_posix()}']{instead}",
                stops=True,
            )
        elif beside and look_like_masks(beside):
            told.add(around)
            more = f" and {len(beside) - 1} more" if len(beside) > 1 else ""
            yield Finding(
                f"{beside[0]}{more} seem to be masks of the images beside them, and would be inspected as photographs; "
                f"set dataset.params.leave_out to ['*{_common_ending(beside, paths)}'], or dataset.layout to 'csv' "
                "with a table of images and masks",
                stops=True,
            )


def _common_ending(beside: Sequence[Path], paths: Sequence[Path]) -> str:
    """The suffix that the name of the first mask adds to that of its image."""
    mask = beside[0]
    image = max((path.stem for path in paths if path != mask and mask.stem.startswith(path.stem)), key=len)
    return mask.name.removeprefix(image)


def _labels(root: Path, by_folder: Mapping[Path, Sequence[Path]]) -> Iterator[Finding]:
    """Sub-folders whose names say whether their images are normal."""
    names = sorted({folder.relative_to(root).parts[0] for folder in by_folder if folder != root})
    good = [name for name in names if means(name, GOOD_WORDS)]
    bad = [name for name in names if means(name, DEFECT_WORDS)]
    if good:
        said = ", ".join(good + bad)
        yield Finding(
            f"the names of the sub-folders {said} seem to be labels, which the layout 'folder' does not read; "
            f"for references set dataset.params.references to '{(root / good[0]).as_posix()}'; for labels list the "
            "images in a table (layout 'csv')",
            stops=False,
        )
