"""The list of images: one row per image, all that the stages before the evaluation know about a category.

It contains each image's SHA-256, which is checked whenever an image is decoded. So the list stands for the pixels: a
rule that depends on an image may depend on the list instead. The list contains no label, defect type or mask, so that
these stages neither see the ground truth nor run again when it is corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol, TypeVar

from zsad.data.subsets import Image, Split, split_named
from zsad.errors import DataError
from zsad.files.table_digest import RUN_AGAIN, read_table, write_table


@dataclass(frozen=True)
class ListedImage:
    """One image of a category, without its label.

    Attributes:
        image_id: path inside the category's folder, with forward slashes; unique.
        path: path as the workflow opens it.
        split: ``"train"`` (normal by definition) or ``"test"``.
        height, width: pixels, upright.
        sha256: of the file's bytes.
        white: the value that is white where values have more than 8 bits, by ``dataset.params.white``; None for the
            whole range of their type. The column exists only if it is set.
    """

    image_id: str
    path: str
    split: Split
    height: int
    width: int
    sha256: str
    white: float | None = None

    @property
    def pixels(self) -> int:
        """Number of pixels of the image."""
        return self.height * self.width


OPTIONAL = ("white",)  # last columns, written only if an image has a value in them
COLUMNS = tuple(field.name for field in fields(ListedImage) if field.name not in OPTIONAL)


Made = TypeVar("Made")


def write_images(path: str | Path, images: Iterable[ListedImage]) -> None:
    """Write a list of images, sorted by ``image_id``."""
    write_records(path, COLUMNS, images)


class Record(Protocol):
    """A row of a table of images."""

    @property
    def image_id(self) -> str:
        """Path inside the category's folder; unique."""


def write_records(path: str | Path, columns: Sequence[str], records: Iterable[Record]) -> None:
    """Write records, sorted by ``image_id``, and the `OPTIONAL` columns that any record fills."""
    records = sorted(records, key=lambda record: record.image_id)
    columns = [*columns, *(name for name in OPTIONAL if any(getattr(record, name) is not None for record in records))]
    write_table(path, columns, [[getattr(record, name) for name in columns] for record in records])


def read_image_list(path: str | Path) -> list[ListedImage]:
    """Read a list of images.

    Raises:
        DataError: it does not exist, was changed after it was written, or is not a list of images.
    """
    return read_records(path, COLUMNS, image_of, what="list of images")


def read_records(
    path: str | Path,
    columns: Sequence[str],
    make: Callable[[dict[str, str]], Made],
    *,
    what: str,
    fix: str = RUN_AGAIN,
) -> list[Made]:
    """Read what `write_records` wrote; arguments and errors are those of `read_table`.

    Args:
        make: returns a record from the cells of its row, by column; it may raise `ValueError`.
    """
    rows = read_table(path, columns, OPTIONAL, what=what, fix=fix)
    try:
        return [make(row) for row in rows]
    except ValueError as error:
        raise DataError(f"{path} is not a valid {what} ({error}); {RUN_AGAIN}") from None


def image_of(row: dict[str, str]) -> ListedImage:
    """The image of a row.

    Raises:
        ValueError: a number or the split is invalid.
    """
    return ListedImage(
        image_id=row["image_id"],
        path=row["path"],
        split=split_named(row["split"]),
        height=int(row["height"]),
        width=int(row["width"]),
        sha256=row["sha256"],
        white=float(row["white"]) if row.get("white") else None,
    )


def of_split(records: Sequence[Image], split: Split) -> list[Image]:
    """The images of one split, in their order."""
    return [record for record in records if record.split == split]
