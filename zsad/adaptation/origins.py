"""What images with anomalies made for training were made from, and their marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from zsad.adaptation.marks import ManifestMarks
from zsad.data.manifest import read_manifest
from zsad.data.masks import mask_sha256
from zsad.errors import DamagedFileError, DataError
from zsad.files.table_digest import read_table, write_table

COLUMNS = ("image_id", "base", "donor")


def write_origins(path: Path, origins: Mapping[str, tuple[str, ...]]) -> None:
    """Write which references each image was made from: what it shows, and where its anomaly comes from if elsewhere."""
    rows = [[image_id, *(*references, "")[:2]] for image_id, references in sorted(origins.items())]
    write_table(path, COLUMNS, rows)


def read_origins(path: Path) -> dict[str, tuple[str, ...]]:
    """The identifiers of the references that each image was made from, one or two, by its own.

    Raises:
        DataError: absent, changed after it was made, or no such table.
    """
    rows = read_table(path, COLUMNS, what="table of what images were made from")
    return {row["image_id"]: tuple(filter(None, (row["base"], row["donor"]))) for row in rows}


def synthetic_marks(manifest: Path, origins: Path, image_ids: Sequence[str]) -> ManifestMarks:
    """The marks of images that were made for training; all masks are there, as they were made.

    Args:
        manifest: of the images.
        origins: what they were made from, see `write_origins`.
        image_ids: whose marks.

    Raises:
        DamagedFileError: of the manifest, where a mask is gone or has changed: whoever removes it has all made anew.
        DataError: an image is not listed, or a table is absent or has changed.
    """
    wanted = set(image_ids)
    for record in read_manifest(manifest):
        if record.image_id in wanted and (fault := _mask_fault(record.mask_path, record.mask_sha256)):
            raise DamagedFileError(manifest, f"lists {record.mask_path}, which {fault}")
    return ManifestMarks(manifest, image_ids, read_origins(origins))


def _mask_fault(path: str, sha256: str) -> str:
    """What is wrong with a mask; empty if nothing is."""
    if not Path(path).is_file():
        return "is gone"
    try:
        return "" if mask_sha256(path) == sha256 else "has changed"
    except DataError:
        return "cannot be read"
