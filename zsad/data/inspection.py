"""Check a category's images for problems before anything is computed from them.

Every header is read, and on request every pixel. Masks are always decoded: few images have one, and an empty mask
distorts the pixel metrics without any error. Only files of equal length are hashed, since others cannot be copies.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from PIL import Image

from zsad.data.bounds import NO_BOUNDS, Bounds
from zsad.data.catalogue import DatasetFacts
from zsad.data.image_header import Header
from zsad.data.images import FORMATS_BY_SUFFIX, greatest_value, image_header, is_image
from zsad.data.impostors import unread_kind
from zsad.data.layouts.base import GOOD, Layout
from zsad.data.layouts.item import Item
from zsad.data.masks import has_orientation, mask_files, read_mask
from zsad.data.packages import other_version
from zsad.data.readings import SKIP, STOP, Policy, all_unreadable, reason_of
from zsad.data.subsets import Refusals, SizedImage, no_refusals
from zsad.data.white import clipped, sample, unused_range
from zsad.errors import DataError, nearest_hint
from zsad.files.provenance import file_sha256
from zsad.progress import progress

EXAMPLES = 3
READERS = 8  # threads, which wait for the disk most of the time
SYSTEM_FILES = ("thumbs.db", "desktop.ini")  # which Windows adds to folders of images
UNLABELLED = "unlabelled"
HALF = 0.5  # of an image; hardly any defect covers more
UNKNOWN = "?"
ALIASES = {"MPO": "JPEG"}  # several photographs in one file, which cameras name .JPG


@dataclass(frozen=True)
class SizeCount:
    """The number of images of a split with one size.

    Attributes:
        height, width: pixels, upright.
    """

    split: str
    height: int
    width: int
    images: int


@dataclass(frozen=True)
class LeftOut:
    """An image that is left out because it is unreadable, with the reason, a sentence."""

    image_id: str
    reason: str


@dataclass(frozen=True)
class Inspection:
    """The findings in a category; ``dataclasses.asdict`` converts it for JSON.

    Attributes:
        counts: images by split and defect type (``"unlabelled"`` if unknown), readable or not.
        sizes: of the readable images that the manifest will list.
        modes: images by Pillow's name of how the file stores a pixel: ``"RGB"``, ``"L"``, ``"I;16"``, ...
        leaked: test images that are byte-identical to a training image.
        repeated: images that are byte-identical to an earlier image of the same split.
        unreadable: the images that are left out because they are unreadable; empty if those stop a run.
        problems: findings that would stop a run, a sentence each.
        warnings: findings that would not stop a run, a sentence each.
    """

    category: str
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    sizes: tuple[SizeCount, ...] = ()
    modes: dict[str, int] = field(default_factory=dict)
    leaked: int = 0
    repeated: int = 0
    unreadable: tuple[LeftOut, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(sum(types.values()) for types in self.counts.values())


class Remark(NamedTuple):
    """A finding about some images that does not stop a run.

    Attributes:
        noun: what the files are, in the singular.
        what: the rest of the phrase.
        names: of the files; empty if there is no finding.
    """

    noun: str
    what: str
    names: Sequence[str]

    def __str__(self) -> str:
        plural = "" if len(self.names) == 1 else "s"
        return f"{len(self.names)} {self.noun}{plural} {self.what}: {shortened(self.names)}"


class ExaminedImage(NamedTuple):
    """The findings about one image and its mask.

    Attributes:
        size: height and width in pixels, upright; None if the image cannot be read.
        header: of the file; None if the image cannot be read.
        mode: how a pixel is stored.
        greatest: the greatest value, before it is scaled; None if no pixel was decoded.
        failure: why the image cannot be read; empty if it can.
        mask_failure: why the mask cannot be used; empty if it can, or if there is none.
        marked: share of the pixels that the mask marks, in [0, 1]; None without a usable mask.
        is_mask_untagged: whether the image has an orientation tag that turns or mirrors it, and the mask has none.
    """

    item: Item
    size: tuple[int, int] | None = None
    header: Header | None = None
    mode: str = UNKNOWN
    greatest: float | None = None
    failure: str = ""
    mask_failure: str = ""
    marked: float | None = None
    is_mask_untagged: bool = False

    @property
    def format(self) -> str:
        """The format of the file by its content, e.g. ``"PNG"``."""
        return UNKNOWN if self.header is None else ALIASES.get(self.header.format, self.header.format)

    @property
    def takes_white(self) -> bool:
        """Whether ``dataset.params.white`` applies to it."""
        return self.header is not None and not self.header.says_white

    @property
    def label(self) -> int | None:
        """1 defective, 0 good, None unknown; from the mask if only the mask gives the label."""
        if self.item.label == "mask":
            return int(bool(self.marked))
        return self.item.label

    @property
    def defect_type(self) -> str:
        """The defect type of a defective image, ``"good"`` or ``"unlabelled"``."""
        if self.item.label == "mask" and not self.label:
            return GOOD
        return self.item.defect_type or UNLABELLED

    @property
    def is_left_out(self) -> bool:
        """Whether it is a training image with a defect, which `Layout.records` leaves out."""
        return self.item.split == "train" and self.label == 1


def inspect_category(
    layout: Layout,
    root: Path,
    category: str,
    *,
    full: bool = False,
    facts: DatasetFacts | None = None,
    package: str = "",
    policy: Policy = STOP,
    left_out: Mapping[Path, str] = MappingProxyType({}),
    bounds: Bounds = NO_BOUNDS,
    refusals: Refusals = no_refusals,
) -> Inspection:
    """Check every image of a category; all problems are returned in the result.

    Args:
        root: folder of the categories.
        full: decode every image, not only its header.
        facts: of the published data set, to compare with.
        package: name and version of the package that holds the images; empty without a package.
        policy: how unreadable images are treated.
        left_out: images that are known to be unreadable and left out, with the reason for each; they are not opened.
        bounds: an image that exceeds them counts as unreadable.
        refusals: reasons why the remaining images cannot be used, a sentence each; they would stop a run.
    """
    try:
        items = layout.items(root, category)
        images = _examine_all([item for item in items if item.path not in left_out], layout.white, bounds, full=full)
        ignored = _ignored(layout, root, category, items)
        remarks = layout.remarks(root, category)
        findings = layout.findings(root, category)
    except DataError as error:
        return Inspection(category, problems=(str(error),))
    skipped = {item.image_id: left_out[item.path] for item in items if item.path in left_out}
    if policy == SKIP:
        skipped |= {image.item.image_id: image.failure for image in images if image.failure}
        images = [image for image in images if not image.failure]
    unread = [ExaminedImage(item) for item in items if item.image_id in skipped]
    leaked, repeated = _copies(images)
    unmasked = _unmasked(images) if layout.expected_truth.masks else Remark("", "", [])
    of_images = (leaked, repeated, unmasked, *_remarks(images, layout.white), *ignored)
    return Inspection(
        category=category,
        counts=_counts([*images, *unread]),
        sizes=_sizes(images),
        modes=dict(Counter(image.mode for image in images if image.size).most_common()),
        leaked=len(leaked.names),
        repeated=len(repeated.names),
        unreadable=tuple(LeftOut(*pair) for pair in sorted(skipped.items())),
        problems=(
            *(finding.text for finding in findings if finding.stops),
            *_problems(items, images, skipped, root, category),
            *refusals(_sized(images)),
        ),
        warnings=(
            *_published_differences(facts, category, items, package),
            *(finding.text for finding in findings if not finding.stops),
            *_one_sided(images),
            *_types_alike(images),
            *_left_out(skipped),
            *(str(remark) for remark in of_images if remark.names),
            *_of_white(images, layout.white),
            *remarks,
        ),
    )


def missing_categories(facts: DatasetFacts | None, found: Iterable[str]) -> list[str]:
    """The published categories that are not among those found, in the published order."""
    found = set(found)
    return [category for category in (facts.categories if facts else ()) if category not in found]


def shortened(names: Sequence[str]) -> str:
    """The first few names, and the number of further ones."""
    more = len(names) - EXAMPLES
    return ", ".join(names[:EXAMPLES]) + (f" and {more} more" if more > 0 else "")


def _examine_all(items: Sequence[Item], white: float | None, bounds: Bounds, *, full: bool) -> list[ExaminedImage]:
    readers = min(READERS, os.cpu_count() or 1) if full else READERS
    with ThreadPoolExecutor(readers) as pool:
        coming = pool.map(partial(_examine, white=white, bounds=bounds, full=full), items)
        images = list(progress(coming, total=len(items), label="checking the images"))
    if full:
        return images
    sampled = set(sample([image.item.image_id for image in images if image.takes_white]))
    return [_sampled(image, white) if image.item.image_id in sampled else image for image in images]


def _examine(item: Item, white: float | None, bounds: Bounds, *, full: bool) -> ExaminedImage:
    try:
        header = image_header(item.path)
        if failure := bounds.failure(item.path, *header.upright_size):
            return ExaminedImage(item, failure=failure)
        image = ExaminedImage(item, size=header.upright_size, header=header, mode=_mode(item.path))
        if full:
            image = image._replace(greatest=greatest_value(item.path, white))
    except DataError as error:
        return ExaminedImage(item, failure=str(error))
    if item.mask is None or item.label == 0:
        return image
    try:
        marked = float(read_mask(item.mask, *header.upright_size).mean())
        is_untagged = header.orientation != 1 and not has_orientation(item.mask)
    except DataError as error:
        return image._replace(mask_failure=str(error))
    return image._replace(marked=marked, is_mask_untagged=is_untagged)


def _sampled(image: ExaminedImage, white: float | None) -> ExaminedImage:
    """Add the findings from the decoded pixels of an image."""
    try:
        return image._replace(greatest=greatest_value(image.item.path, white))
    except DataError as error:
        return ExaminedImage(image.item, failure=str(error))


def _mode(path: Path) -> str:
    """Mode of an image by Pillow; unknown for the few that only other libraries read."""
    try:
        with Image.open(path) as image:
            return image.mode
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return UNKNOWN


def _of_white(images: Sequence[ExaminedImage], white: float | None) -> Iterator[str]:
    """Warnings if the images do not use the range that they are scaled by."""
    integers = (image for image in images if image.takes_white and image.header and not image.header.is_float)
    yield from unused_range(
        {each.item.image_id: each.greatest for each in integers if each.greatest is not None}, white
    )
    if white and not any(image.takes_white for image in images):
        yield "dataset.params.white is set but applies to no image: all have 8 bits per channel, or state their range"


def _counts(images: Sequence[ExaminedImage]) -> dict[str, dict[str, int]]:
    return {
        split: dict(sorted(Counter(image.defect_type for image in images if image.item.split == split).items()))
        for split in ("train", "test")
        if any(image.item.split == split for image in images)
    }


def _sizes(images: Sequence[ExaminedImage]) -> tuple[SizeCount, ...]:
    counts = Counter((image.item.split, *image.size) for image in images if image.size and not image.is_left_out)
    return tuple(SizeCount(*place, count) for place, count in sorted(counts.items()))


def _sized(images: Sequence[ExaminedImage]) -> list[SizedImage]:
    """The size of each image that the manifest will list."""
    return [
        SizedImage(image.item.image_id, image.item.split, *image.size)
        for image in images
        if image.size and not image.is_left_out
    ]


def _problems(
    items: Sequence[Item], images: Sequence[ExaminedImage], skipped: Mapping[str, str], root: Path, category: str
) -> Iterator[str]:
    """Yield the findings that would stop a run."""
    tests = [item.image_id for item in items if item.split == "test"]
    if not tests:
        yield f"category '{category}' has no test images in {root}; add some or leave the category out"
    elif all(image_id in skipped for image_id in tests):
        yield all_unreadable(len(tests), category, skipped[tests[0]])
    yield from _failures([(image.item.image_id, image.failure) for image in images if image.failure])
    yield from _failures([(image.item.image_id, image.mask_failure) for image in images if image.mask_failure])


def _one_sided(images: Sequence[ExaminedImage]) -> Iterator[str]:
    """Yield a warning if all labelled test images are normal, or all are defective."""
    labels = {image.label for image in images if image.item.split == "test"} - {None}
    if labels == {1}:
        yield "no test image is good, so that no metric can show how well good and defective images are separated"
    elif labels == {0}:
        yield "no test image is defective, so that no metric can show how well defects are found"


def _types_alike(images: Sequence[ExaminedImage]) -> Iterator[str]:
    """Yield a warning if defect types differ only in case or punctuation."""
    by_name: dict[str, set[str]] = {}
    for image in images:
        if image.item.split == "test" and image.label == 1:
            letters = "".join(filter(str.isalnum, image.defect_type.casefold()))
            by_name.setdefault(letters or image.defect_type, set()).add(image.defect_type)
    for names in by_name.values():
        if len(names) > 1:
            yield f"the defect types {', '.join(sorted(names))} differ only in case or signs, and count as several"


def _left_out(skipped: Mapping[str, str]) -> Iterator[str]:
    """Yield which images are left out, and the reason for the first."""
    if skipped:
        names = sorted(skipped)
        they = "1 image is left out, since it" if len(names) == 1 else f"{len(names)} images are left out, since they"
        yield f"{they} cannot be used: {shortened(names)}; the first: {reason_of(skipped[names[0]])}"


def _failures(failures: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the first failure in full, and the images of the others."""
    if failures:
        others = [image_id for image_id, _ in failures[1:]]
        yield failures[0][1] + (f"; and {len(others)} more like it: {shortened(others)}" if others else "")


def _published_differences(
    facts: DatasetFacts | None, category: str, items: Sequence[Item], package: str
) -> Iterator[str]:
    if facts is None:
        return
    if difference := other_version(facts, package):
        yield difference
    if category not in facts.categories:
        hint = nearest_hint(category, facts.categories, or_all=False)
        yield f"'{category}' is not a published category of {facts.title}{hint}"
    elif published := facts.categories[category]:
        for split, expected in (("train", published.train), ("test", published.test)):
            found = sum(item.split == split for item in items)
            if expected is not None and found != expected:
                yield f"{facts.title} was published with {expected} {split} images of {category}, but {found} are here"


def _copies(images: Sequence[ExaminedImage]) -> tuple[Remark, Remark]:
    """Test images that are also training images, and repeated images of a split, byte for byte."""
    readable = [image.item for image in images if image.size]
    lengths = [item.path.stat().st_size for item in readable]
    often = Counter(lengths)
    candidates = [item for item, length in zip(readable, lengths, strict=True) if often[length] > 1]
    with ThreadPoolExecutor(READERS) as pool:
        digests = list(pool.map(file_sha256, [item.path for item in candidates]))
    trained = {digest for item, digest in zip(candidates, digests, strict=True) if item.split == "train"}
    leaked, repeated = [], []
    seen: set[tuple[str, str]] = set()
    for item, digest in sorted(zip(candidates, digests, strict=True), key=lambda pair: pair[0].image_id):
        if item.split == "test" and digest in trained:
            leaked.append(item.image_id)
        if (item.split, digest) in seen:
            repeated.append(item.image_id)
        seen.add((item.split, digest))
    return (
        Remark(
            "test image",
            "also among the training images, byte for byte, which makes results with references too good",
            leaked,
        ),
        Remark("image", "a byte-identical copy of another image of its split", repeated),
    )


def _unmasked(images: Sequence[ExaminedImage]) -> Remark:
    """The defective test images without a mask, in a data set with masks."""
    defective = [image.item for image in images if image.item.split == "test" and image.label == 1]
    return Remark(
        "defective image",
        "without a mask, and so left out of the pixel metrics",
        [item.image_id for item in defective if item.mask is None],
    )


def _remarks(images: Sequence[ExaminedImage], white: float | None) -> Iterator[Remark]:
    """Remarks about images and masks."""
    tests = [image for image in images if image.item.split == "test"]
    yield Remark(
        "defective image",
        "with a mask that marks no pixel",
        [image.item.image_id for image in tests if image.label == 1 and image.marked == 0],
    )
    yield Remark(
        "image",
        "with a mask that marks more than half of it, as an inverted one does",
        [image.item.image_id for image in images if (image.marked or 0) > HALF],
    )
    yield Remark(
        "training image",
        "left out because defective",
        [image.item.image_id for image in images if image.is_left_out],
    )
    yield Remark(
        "image",
        "turned or mirrored by an orientation tag that the mask does not have, so that the mask is assumed to be "
        "upright",
        [image.item.image_id for image in images if image.is_mask_untagged],
    )
    yield Remark(
        "image",
        f"with values above dataset.params.white, {white or 0:g}, which become white",
        clipped({each.item.image_id: each.greatest or 0 for each in images if each.takes_white}, white),
    )
    yield Remark(
        "file",
        "with several photographs, only the primary one of which is read",
        [
            image.item.image_id
            for image in images
            if image.format == "HEIF" and image.header and image.header.images > 1
        ],
    )
    yield Remark(
        "image",
        "in another format than the suffix says, but read anyway",
        [
            f"{image.item.image_id} ({image.format})"
            for image in images
            if image.format != UNKNOWN and FORMATS_BY_SUFFIX.get(image.item.path.suffix.lower()) != image.format
        ],
    )


def _ignored(layout: Layout, root: Path, category: str, items: Sequence[Item]) -> tuple[Remark, ...]:
    """The files of a category that are ignored: files without an image suffix, and unused images.

    A category without a folder of its own may share its folders with others, so that unused images are not reported.
    """
    masks = [file for item in items if item.mask for file in mask_files(item.mask)]
    read = {*(item.path for item in items), *masks, *layout.tables(root, category)}
    home = root / category
    has_home = home.is_dir()
    places = {home} if has_home else {path.parent for path in read}
    base = home if has_home else root
    others = [path for place in sorted(places) for path in _visible_files(place, deep=has_home) if path not in read]
    truth = layout.masks_folder(root, category)
    images = [path for path in others if has_home and is_image(path)]
    lonely = [path for path in images if truth and path.is_relative_to(truth)]
    ignored = [_relative(path, base) for path in images if path not in lonely]
    strays = [path for path in others if not is_image(path)]
    unread = [f"{_relative(path, base)} ({kind})" for path in strays if (kind := unread_kind(path))]
    return (
        Remark("file", "ignored because their format is not supported; save as PNG, TIFF or JPEG", unread),
        Remark(
            "file",
            "ignored because it has no image suffix",
            [_relative(path, base) for path in strays if not unread_kind(path)],
        ),
        Remark("mask", "without an image of the same name", [_relative(path, base) for path in lonely]),
        Remark("image", "ignored because it is neither an image nor a mask by the layout", ignored),
    )


def _visible_files(folder: Path, *, deep: bool) -> Iterator[Path]:
    """Files in a folder, sorted, without hidden files and the system files of Windows."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if deep and not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and name.lower() not in SYSTEM_FILES:
                yield Path(place, name)


def _relative(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()
