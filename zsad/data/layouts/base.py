"""What every layout knows: the categories under a root, and the images of a category."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Literal

from zsad.data.images import image_size
from zsad.data.manifest import ImageRecord
from zsad.provenance import file_sha256
from zsad.registry import Part


class Layout(Part):
    """An arrangement of a data set's folders.

    Class attributes:
        summary: one sentence for listings.
    """

    summary: ClassVar[str]

    @abstractmethod
    def categories(self, root: Path) -> list[str]:
        """Names of the categories under ``root``, sorted.

        Raises:
            DataError: ``root`` does not exist or has no category.
        """

    @abstractmethod
    def files(self, root: Path, category: str) -> list[Path]:
        """Every file that `records` reads, sorted: images and masks."""

    @abstractmethod
    def records(self, root: Path, category: str) -> list[ImageRecord]:
        """One record an image.

        Raises:
            DataError: the category is empty, or a file is no image.
        """


def image_record(
    path: Path,
    folder: Path,
    *,
    split: Literal["train", "test"],
    label: int | None,
    defect_type: str,
    mask_path: Path | None = None,
) -> ImageRecord:
    """Describe the image at ``path``, of the category in ``folder``, from its header and bytes."""
    height, width = image_size(path)
    return ImageRecord(
        image_id=path.relative_to(folder).as_posix(),
        path=path.as_posix(),
        split=split,
        label=label,
        defect_type=defect_type,
        mask_path=mask_path.as_posix() if mask_path else "",
        height=height,
        width=width,
        sha256=file_sha256(path),
    )
