"""The references that synthetic images were made from, and the marks of these images."""

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
    """Write the references of each synthetic image: its base image, and the source of its anomaly if different."""
    rows = [[image_id, *(*references, "")[:2]] for image_id, references in sorted(origins.items())]
    write_table(path, COLUMNS, rows)


def read_origins(path: Path) -> dict[str, tuple[str, ...]]:
    """The identifiers of the references of each synthetic image, one or two, by its own identifier.

    Raises:
        DataError: the table is absent, was changed after it was made, or is of another kind.
    """
    rows = read_table(path, COLUMNS, what="table of what images were made from")
    return {row["image_id"]: tuple(filter(None, (row["base"], row["donor"]))) for row in rows}


def synthetic_marks(manifest: Path, origins: Path, image_ids: Sequence[str]) -> ManifestMarks:
    """The marks of synthetic images; all masks must exist unchanged.

    Args:
        manifest: of the synthetic images.
        origins: their references, see `write_origins`.
        image_ids: synthetic images.

    Raises:
        DamagedFileError: of the manifest, if a mask is missing or has changed: removing the manifest makes all of them
            again.
        DataError: an image is not listed, or a table is absent or has changed.
    """
    wanted = set(image_ids)
    for record in read_manifest(manifest):
        if record.image_id in wanted and (fault := _mask_fault(record.mask_path, record.mask_sha256)):
            raise DamagedFileError(manifest, f"lists {record.mask_path}, which {fault}")
    return ManifestMarks(manifest, image_ids, read_origins(origins))


def _mask_fault(path: str, sha256: str) -> str:
    """The fault of a mask, in words; empty if there is none."""
    if not Path(path).is_file():
        return "is missing"
    try:
        return "" if mask_sha256(path) == sha256 else "has changed"
    except DataError:
        return "cannot be read"
