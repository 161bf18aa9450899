"""The manifest: one row per image, with its listed facts and its ground truth.

For the evaluation, the reports and users; earlier stages read the list of images (`zsad.data.image_list`), which has no
ground truth. The manifest contains the digest of each mask, so that a rule that depends on a mask may depend on the
manifest instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from zsad.data.image_list import COLUMNS as LISTED
from zsad.data.image_list import OPTIONAL, ListedImage, image_of, read_records, write_records
from zsad.data.subsets import Split
from zsad.files.table_digest import RUN_AGAIN

FIX = f"labels come from the data set itself: correct them there; {RUN_AGAIN}"


@dataclass(frozen=True)
class ImageRecord:
    """One image of a category.

    Attributes:
        image_id: path inside the category's folder, with forward slashes; unique.
        path: path as the workflow opens it.
        split: ``"train"`` (normal by definition) or ``"test"``.
        label: 1 defective, 0 good, None unknown.
        defect_type: e.g. ``"scratch"``; ``"good"``; empty if unknown.
        mask_path: a mask, or a folder whose masks are united; empty if none.
        height, width: pixels, upright.
        sha256: of the file's bytes.
        mask_sha256: of the mask, see `zsad.data.masks.mask_sha256`; empty if none.
        white: as of `zsad.data.image_list.ListedImage`.
    """

    image_id: str
    path: str
    split: Split
    label: int | None
    defect_type: str
    mask_path: str
    height: int
    width: int
    sha256: str
    mask_sha256: str = ""
    white: float | None = None

    @property
    def pixels(self) -> int:
        """Number of pixels of the image."""
        return self.height * self.width

    @property
    def listed(self) -> ListedImage:
        """The image without its ground truth."""
        return ListedImage(**{name: getattr(self, name) for name in (*LISTED, *OPTIONAL)})


COLUMNS = tuple(field.name for field in fields(ImageRecord) if field.name not in OPTIONAL)


def write_manifest(path: str | Path, records: Iterable[ImageRecord]) -> None:
    """Write a manifest, sorted by ``image_id``."""
    write_records(path, COLUMNS, records)


def read_manifest(path: str | Path) -> list[ImageRecord]:
    """Read a manifest, with the ground truth: only `zsad.evaluation` may use it, and `zsad.reporting` to show it.

    Exceptions: `zsad.classification.draw_support`, for the images whose kind is shown to a classifier;
    `zsad.scoring.train_method`, for an auxiliary data set, which is never the one under test; and
    `zsad.adaptation.origins`, for images that are made for training.

    Raises:
        DataError: it does not exist, was changed after it was written, or is not a manifest.
    """
    return read_records(path, COLUMNS, _record, what="manifest", fix=FIX)


def _record(row: dict[str, str]) -> ImageRecord:
    return ImageRecord(
        **vars(image_of(row)),
        label=int(row["label"]) if row["label"] else None,
        defect_type=row["defect_type"],
        mask_path=row["mask_path"],
        mask_sha256=row["mask_sha256"],
    )
