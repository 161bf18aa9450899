"""The manifest: one row an image, the only list of images that the later stages know.

It holds each image's SHA-256, and whoever decodes an image checks it, so that the manifest stands for the pixels:
whatever depends on an image may depend on the manifest instead.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

from zsad.errors import DataError
from zsad.store import write_text


@dataclass(frozen=True)
class ImageRecord:
    """One image of a category.

    Attributes:
        image_id: path inside the category's folder, with forward slashes; unique.
        path: path as the workflow opens it.
        split: ``"train"`` (good by definition) or ``"test"``.
        label: 1 defective, 0 good, None unknown.
        defect_type: e.g. ``"scratch"``; ``"good"``; empty if unknown.
        mask_path: a mask, or a folder whose masks are united; empty if none.
        height, width: pixels, upright.
        sha256: of the file's bytes.
        white: the value that is white where values have more than 8 bits, by ``dataset.params.white``; None for the
            whole range of their type. A column that is there only if it is set.
    """

    image_id: str
    path: str
    split: Literal["train", "test"]
    label: int | None
    defect_type: str
    mask_path: str
    height: int
    width: int
    sha256: str
    white: float | None = None

    @property
    def pixels(self) -> int:
        """How many the image has."""
        return self.height * self.width


OPTIONAL = ("white",)  # columns that stand there only if an image has something in them, behind the others
COLUMNS = tuple(field.name for field in fields(ImageRecord) if field.name not in OPTIONAL)


def write_manifest(path: str | Path, records: Iterable[ImageRecord]) -> None:
    """Write a manifest, sorted by ``image_id``."""
    records = sorted(records, key=lambda record: record.image_id)
    columns = [*COLUMNS, *(name for name in OPTIONAL if any(getattr(record, name) is not None for record in records))]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for record in records:
        values = (getattr(record, name) for name in columns)
        writer.writerow(["" if value is None else value for value in values])
    write_text(path, buffer.getvalue())


def read_manifest(path: str | Path, *, with_truth: bool = False) -> list[ImageRecord]:
    """Read a manifest.

    Args:
        with_truth: keep labels, defect types and masks. Only `zsad.evaluation` may ask for them (and
            `zsad.reporting`, to draw them); without it they are blank.

    Raises:
        DataError: absent, or not a manifest.
    """
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no manifest ({error}); delete it and run again") from None
    try:
        records = [_record(row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no manifest ({error!r}); delete it and run again") from None
    if with_truth:
        return records
    return [replace(record, label=None, defect_type="", mask_path="") for record in records]


def of_split(records: Sequence[ImageRecord], split: Literal["train", "test"]) -> list[ImageRecord]:
    """The records of one split, in the manifest's order."""
    return [record for record in records if record.split == split]


def _record(row: dict[str, str]) -> ImageRecord:
    if {*row} - {*OPTIONAL} != {*COLUMNS}:
        raise KeyError(f"columns are {sorted(row)}")
    return ImageRecord(
        image_id=row["image_id"],
        path=row["path"],
        split=row["split"],
        label=int(row["label"]) if row["label"] else None,
        defect_type=row["defect_type"],
        mask_path=row["mask_path"],
        height=int(row["height"]),
        width=int(row["width"]),
        sha256=row["sha256"],
        white=float(row["white"]) if row.get("white") else None,
    )
