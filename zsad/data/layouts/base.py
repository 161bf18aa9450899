"""Base class of all layouts, which list the categories under a root and the images of a category.

A layout finds all files without opening an image (`Layout.items`), so that even unreadable images are known by name.
The list of images is made from that by reading every image (`Layout.listed`), and the manifest's records by adding
labels and masks (`Layout.records`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from pydantic import Field

from zsad.data.image_list import ListedImage
from zsad.data.images import is_image
from zsad.data.known_truth import WHOLE_TRUTH, KnownTruth
from zsad.data.layouts.item import Item
from zsad.data.manifest import ImageRecord
from zsad.data.masks import mask_files, mask_sha256, read_mask
from zsad.data.readings import STOP, Policy, Reading, complaint, failed, read_all
from zsad.errors import DataError
from zsad.names import MEANS
from zsad.registry import Choice

GOOD = "good"
# Names that are used beside the categories in a folder of results.
TAKEN = ("benchmarks", "logs", *MEANS, "partial", "plots", "report", "report.html", "tables", "trained")


class Finding(NamedTuple):
    """A contradiction between a folder and what the layout expects.

    Attributes:
        text: one sentence.
        stops: whether a run would use wrong images, labels or masks, so that it must not start.
    """

    text: str
    stops: bool


class Layout(Choice):
    """An arrangement of a data set's folders; its parameters select among a data set's variants.

    Class attributes:
        unreadable: whether unreadable images stop a run or are left out, unless the configuration sets it.
        more_references: how to add normal images for methods with references, as an imperative.
    """

    unreadable: ClassVar[Policy] = STOP
    more_references: ClassVar[str] = "add normal images for training"

    white: float | None = Field(
        None,
        gt=0,
        description="the value that is white in images of more than 8 bits, e.g. 4095 for 12-bit values in 16-bit "
        "files; null for the whole range of 16 bits",
    )

    @abstractmethod
    def categories(self, root: Path) -> list[str]:
        """Names of the categories under ``root`` on disk, sorted, published or not.

        Raises:
            DataError: ``root`` does not exist or has no category.
        """

    @abstractmethod
    def items(self, root: Path, category: str) -> list[Item]:
        """The images of a category, sorted by ``image_id``; no image or mask is opened.

        Raises:
            DataError: a table of the data set is missing or invalid, or names a file that does not exist.
        """

    @property
    def expected_truth(self) -> KnownTruth:
        """The known ground truth of the published test images, before they are downloaded."""
        return WHOLE_TRUTH

    def tables(self, root: Path, category: str) -> list[Path]:
        """The files besides images and masks that `items` reads, e.g. a table of splits; usually none."""
        return []

    def saturation(self, root: Path, category: str) -> Path | None:
        """The table of saturation areas of a category's defects (see `zsad.data.saturation`); usually none."""
        return None

    def remarks(self, root: Path, category: str) -> list[str]:
        """What is left out of the category and why, a sentence each; usually empty."""
        return []

    def findings(self, root: Path, category: str) -> list[Finding]:
        """Mistakes in the names of a category's folders and files; hardly any image is opened for it."""
        return []

    def overlooked(self, root: Path) -> list[str]:
        """Folders under ``root`` that are not categories because of a misspelled folder in them, a sentence each."""
        return []

    def masks_folder(self, root: Path, category: str) -> Path | None:
        """The folder that contains only masks of a category; None if there is none."""
        return None

    def files(self, root: Path, category: str, items: Sequence[Item] | None = None) -> list[Path]:
        """Every file that `listed` and `records` depend on, sorted: images, masks and tables.

        Args:
            items: of the category, if they have been listed already.
        """
        items = self.items(root, category) if items is None else items
        masks = [file for item in items if item.mask for file in mask_files(item.mask)]
        return sorted({*(item.path for item in items), *masks, *self.tables(root, category)})

    def listed(self, root: Path, category: str, readings: Iterable[Reading]) -> list[ListedImage]:
        """The listed images; a training image with a defect is left out, also if only its mask shows the defect.

        Args:
            readings: of the images to list, all readable.

        Raises:
            DataError: there is no test image, or the mask of a training image cannot be read.
        """
        images = self.usable(root, category, readings)
        _require_test_image(images, root, category)
        return images

    def usable(self, root: Path, category: str, readings: Iterable[Reading]) -> list[ListedImage]:
        """As `listed`, but also without a test image.

        Raises:
            DataError: the mask of a training image cannot be read.
        """
        read = {reading.path: reading for reading in readings}
        items = [item for item in self.items(root, category) if item.path in read]
        return [
            listed_image(item, read[item.path], self.white)
            for item in items
            if not (item.split == "train" and is_defective(item, read[item.path]))
        ]

    def records(self, root: Path, category: str, listed: Iterable[ListedImage] | None = None) -> list[ImageRecord]:
        """One record per image.

        Args:
            listed: the output of `listed`; None to read every image.

        Raises:
            DataError: there is no test image, or an image, or a mask that gives a label, cannot be read.
        """
        if listed is None:
            readings = read_all((item.path for item in self.items(root, category)), white=self.white)
            if failures := failed(readings):
                raise DataError(complaint(failures, category))
            listed = self.listed(root, category, readings)
        records = list(self._records(root, category, {image.image_id: image for image in listed}))
        _require_test_image(records, root, category)
        return records

    def _records(self, root: Path, category: str, listed: Mapping[str, ListedImage]) -> Iterator[ImageRecord]:
        for item in self.items(root, category):
            if item.image_id in listed:
                yield image_record(item, listed[item.image_id])


def _require_test_image(images: Iterable[ListedImage | ImageRecord], root: Path, category: str) -> None:
    if not any(image.split == "test" for image in images):
        raise DataError(f"category '{category}' has no test images in {root}; add some or leave the category out")


def is_defective(item: Item, size: Reading | ListedImage) -> bool:
    """Whether an image is known to be defective, by its mask if only the mask gives the label.

    Args:
        size: an object with the image's height and width.
    """
    if item.label == "mask":
        return item.mask is not None and bool(read_mask(item.mask, size.height, size.width).any())
    return item.label == 1


def listed_image(item: Item, reading: Reading, white: float | None) -> ListedImage:
    """The row of an image in the list of images.

    Args:
        white: see `Layout`.
    """
    path = item.path.as_posix()
    return ListedImage(item.image_id, path, item.split, reading.height, reading.width, reading.sha256, white)


def image_record(item: Item, listed: ListedImage) -> ImageRecord:
    """The record of an image with its ground truth, by its mask if only the mask gives the label."""
    label, defect_type = item.label, item.defect_type
    if label == "mask":
        label = int(is_defective(item, listed))
        defect_type = defect_type if label else GOOD
    mask = item.mask if label != 0 else None
    return ImageRecord(
        **vars(listed),
        label=label,
        defect_type=defect_type,
        mask_path=mask.as_posix() if mask else "",
        mask_sha256=mask_sha256(mask) if mask else "",
    )


def checked_name(path: Path) -> Path:
    """Return the path if its name is valid text.

    Raises:
        DataError: the name is not text in UTF-8, as it happens with old archives and cameras, or contains a line break.
    """
    try:
        path.name.encode()
    except UnicodeEncodeError:
        shown = path.name.encode(errors="surrogateescape")
        raise DataError(f"the name {shown!r} in {path.parent} is not text in UTF-8; rename it") from None
    if path.name.splitlines() != [path.name]:
        raise DataError(f"the name {path.name!r} in {path.parent} contains a line break; rename it")
    return path


class InvalidNames:
    """Collects paths whose names are not valid text, instead of rejecting them.

    Attributes:
        errors: the reasons, by path.
    """

    def __init__(self) -> None:
        self.errors: dict[Path, DataError] = {}

    def take(self, path: Path) -> Path | None:
        """As `checked_name`; None for a path that is put aside."""
        try:
            return checked_name(path)
        except DataError as error:
            self.errors[path] = error
            return None


Take = Callable[[Path], Path | None]


def folders(parent: Path, take: Take = checked_name) -> list[Path]:
    """The folders in a folder, sorted, hidden ones left out; none if it does not exist.

    Args:
        take: called with each path; returns the path to use, or None to leave it out.
    """
    if not parent.is_dir():
        return []
    found = (path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(filter(None, map(take, found)))


def images(folder: Path, take: Take = checked_name) -> list[Path]:
    """The images directly in a folder, sorted; none if it does not exist.

    A broken link is included: opening it reports the error, so that no image is lost silently.

    Args:
        take: called with each path; returns the path to use, or None to leave it out.
    """
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if is_image(path) and not path.is_dir())
    return sorted(filter(None, map(take, found)))
