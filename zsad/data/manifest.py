"""The manifest: one row an image, what is listed of it and the truth.

For the evaluation, the reports and people; the stages before read the list of images (`zsad.data.image_list`), in which
there is no truth. It holds the digest of each mask, so that whatever depends on a mask may depend on it instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from zsad.data.image_list import COLUMNS as LISTED
from zsad.data.image_list import OPTIONAL, ListedImage, image_of, read_records, write_records
from zsad.data.subsets import Split
from zsad.files.table_digest import RUN_AGAIN

MEND = f"labels come from the data set itself: correct them there; {RUN_AGAIN}"


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
        """How many the image has."""
        return self.height * self.width

    @property
    def listed(self) -> ListedImage:
        """The image without its truth."""
        return ListedImage(**{name: getattr(self, name) for name in (*LISTED, *OPTIONAL)})


COLUMNS = tuple(field.name for field in fields(ImageRecord) if field.name not in OPTIONAL)


def write_manifest(path: str | Path, records: Iterable[ImageRecord]) -> None:
    """Write a manifest, sorted by ``image_id``."""
    write_records(path, COLUMNS, records)


def read_manifest(path: str | Path) -> list[ImageRecord]:
    """Read a manifest, with the truth: only `zsad.evaluation` may ask for it, and `zsad.reporting`, to draw it.

    Besides, `zsad.classification.draw_support` may, for the images whose kind is shown to a classifier, of an
    auxiliary data set, which is never the one under test, `zsad.scoring.train_method`, and of images that are made for
    training, `zsad.adaptation.origins`.

    Raises:
        DataError: absent, changed after it was made, or not a manifest.
    """
    return read_records(path, COLUMNS, _record, what="manifest", mend=MEND)


def _record(row: dict[str, str]) -> ImageRecord:
    return ImageRecord(
        **vars(image_of(row)),
        label=int(row["label"]) if row["label"] else None,
        defect_type=row["defect_type"],
        mask_path=row["mask_path"],
        mask_sha256=row["mask_sha256"],
    )
