"""What every layout knows: the categories under a root, and the images of a category.

A layout says where everything lies without opening an image (`Layout.items`), so that even what cannot be opened is
known by name; the list of images is made from that by reading every image (`Layout.listed`), and the manifest's records
by what is known of each (`Layout.records`).
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
# Beside the categories in a folder of results.
TAKEN = ("benchmarks", "logs", *MEANS, "partial", "plots", "report", "report.html", "tables", "trained")


class Finding(NamedTuple):
    """What contradicts what a layout takes a folder for.

    Attributes:
        text: one sentence.
        stops: whether a run would be of other images, labels or masks than are meant, so that it must not begin.
    """

    text: str
    stops: bool


class Layout(Choice):
    """An arrangement of a data set's folders; its parameters choose between what a data set offers.

    Class attributes:
        unreadable: whether images that cannot be read stop a run or are left out, if the configuration says nothing.
        more_references: how it takes more good images for methods with references, an imperative.
    """

    unreadable: ClassVar[Policy] = STOP
    more_references: ClassVar[str] = "add good images for training"

    white: float | None = Field(
        None,
        gt=0,
        description="the value that is white in images of more than 8 bits, e.g. 4095 for 12 bits in files of 16; null "
        "for the whole range of 16 bits",
    )

    @abstractmethod
    def categories(self, root: Path) -> list[str]:
        """Names of the categories under ``root``, sorted: what is on the disk, whatever has been published.

        Raises:
            DataError: ``root`` does not exist or has no category.
        """

    @abstractmethod
    def items(self, root: Path, category: str) -> list[Item]:
        """The images of a category, sorted by ``image_id``; no image or mask is opened.

        Raises:
            DataError: a table of the data set is absent or wrong, or names a file that does not exist.
        """

    @property
    def expected_truth(self) -> KnownTruth:
        """What is known of the test images as they were published, before they are downloaded."""
        return WHOLE_TRUTH

    def tables(self, root: Path, category: str) -> list[Path]:
        """The files besides images and masks that `items` reads, e.g. a table of splits; usually none."""
        return []

    def saturation(self, root: Path, category: str) -> Path | None:
        """The table of saturation areas of a category's defects (see `zsad.data.saturation`); usually none."""
        return None

    def remarks(self, root: Path, category: str) -> list[str]:
        """What of the category is left out and why, a sentence each; usually nothing."""
        return []

    def findings(self, root: Path, category: str) -> list[Finding]:
        """Slips in what the folders and files of a category are called; hardly any image is opened for it."""
        return []

    def overlooked(self, root: Path) -> list[str]:
        """What under ``root`` is no category for a slip in its folders' names, a sentence each."""
        return []

    def masks_folder(self, root: Path, category: str) -> Path | None:
        """The folder that holds nothing but masks of a category; None if there is none."""
        return None

    def files(self, root: Path, category: str, items: Sequence[Item] | None = None) -> list[Path]:
        """Every file that `listed` and `records` depend on, sorted: images, masks and tables.

        Args:
            items: those of the category, where they have been listed already.
        """
        items = self.items(root, category) if items is None else items
        masks = [file for item in items if item.mask for file in mask_files(item.mask)]
        return sorted({*(item.path for item in items), *masks, *self.tables(root, category)})

    def listed(self, root: Path, category: str, readings: Iterable[Reading]) -> list[ListedImage]:
        """What is listed of each image; a training image with a defect is left out, where only its mask marks it too.

        Args:
            readings: of the images to list, all of them readable.

        Raises:
            DataError: there is no test image, or the mask of a training image cannot be read.
        """
        images = self.usable(root, category, readings)
        _require_test_image(images, root, category)
        return images

    def usable(self, root: Path, category: str, readings: Iterable[Reading]) -> list[ListedImage]:
        """As `listed`, with a test image among them or without.

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
        """One record an image.

        Args:
            listed: the images, see `listed`; None to read every image.

        Raises:
            DataError: there is no test image, an image cannot be read, or a mask that tells a label cannot.
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
        raise DataError(f"category '{category}' has no test images in {root}; add some or leave it out")


def is_defective(item: Item, size: Reading | ListedImage) -> bool:
    """Whether an image is known to be, by its mask where the mask alone tells.

    Args:
        size: what has the image's height and width.
    """
    if item.label == "mask":
        return item.mask is not None and bool(read_mask(item.mask, size.height, size.width).any())
    return item.label == 1


def listed_image(item: Item, reading: Reading, white: float | None) -> ListedImage:
    """What is listed of an image.

    Args:
        white: see `Layout`.
    """
    path = item.path.as_posix()
    return ListedImage(item.image_id, path, item.split, reading.height, reading.width, reading.sha256, white)


def image_record(item: Item, listed: ListedImage) -> ImageRecord:
    """What is listed of an image with what is known of it, by its mask where the mask alone tells the label."""
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


def named(path: Path) -> Path:
    """The path itself, if its name can be written down.

    Raises:
        DataError: the name is not text in UTF-8, as names from old archives and cameras are sometimes not, or has a
            line break in it.
    """
    try:
        path.name.encode()
    except UnicodeEncodeError:
        shown = path.name.encode(errors="surrogateescape")
        raise DataError(f"the name of {shown!r} in {path.parent} is not text in UTF-8; rename it") from None
    if path.name.splitlines() != [path.name]:
        raise DataError(f"the name of {path.name!r} in {path.parent} has a line break in it; rename it")
    return path


class Unnamed:
    """What has a name that cannot be written down, put aside instead of refused.

    Attributes:
        errors: why, by path.
    """

    def __init__(self) -> None:
        self.errors: dict[Path, DataError] = {}

    def take(self, path: Path) -> Path | None:
        """As `named`; None for what is put aside."""
        try:
            return named(path)
        except DataError as error:
            self.errors[path] = error
            return None


Take = Callable[[Path], Path | None]


def folders(parent: Path, take: Take = named) -> list[Path]:
    """The folders in a folder, sorted, hidden ones left out; none if it does not exist.

    Args:
        take: asked of each; what it answers is taken.
    """
    if not parent.is_dir():
        return []
    found = (path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(filter(None, map(take, found)))


def images(folder: Path, take: Take = named) -> list[Path]:
    """The images directly in a folder, sorted; none if it does not exist.

    A link that leads nowhere counts: whoever opens it says so, instead of an image that is missed by nobody.

    Args:
        take: asked of each; what it answers is taken.
    """
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if is_image(path) and not path.is_dir())
    return sorted(filter(None, map(take, found)))
