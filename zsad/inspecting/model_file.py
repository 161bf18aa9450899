"""Read the provenance of a model file: backbone, references, and the model that finds the object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsad.errors import DamagedFileError, DataError
from zsad.features.base import Backbone
from zsad.features.registry import BACKBONES
from zsad.files.fitted import FittedReader

if TYPE_CHECKING:
    from zsad.inspecting.foreground_finder import ForegroundFinder

NEEDED = ("backbone", "model", "scorer", "references")  # entries of the provenance
PLACE = "results/NAME/CATEGORY/models/METHOD.h5"


def provenance_of(path: Path) -> dict[str, Any]:
    """The provenance of a model.

    Raises:
        DataError: the file is missing, damaged or not a model.
    """
    if path.is_dir():
        inside = sorted(str(file) for file in path.rglob("models/*.h5")) or sorted(map(str, path.glob("*.h5")))
        hint = f"one of its files, e.g. {inside[0]}" if inside else f"a file, {PLACE}"
        raise DataError(f"the model {path} is a folder; give {hint}")
    if not path.exists():
        raise DataError(
            f"the model {path} does not exist; give one that the workflow has made, {PLACE}, or make it with "
            "`snakemake`"
        )
    with explaining_foreign_files(), FittedReader(path) as reader:
        provenance = dict(reader.provenance)
    if missing := next((name for name in NEEDED if not isinstance(provenance.get(name), Mapping)), None):
        raise DataError(f"{path} does not contain its {missing}; give a model that the workflow has made, {PLACE}")
    return provenance


@contextmanager
def explaining_foreign_files() -> Iterator[None]:
    """Explain what to give instead of a damaged or other file, which may be a photograph and must not be deleted."""
    try:
        yield
    except DamagedFileError as error:
        raise DataError(f"{error.path} {error.fault}; give a model that the workflow has made, {PLACE}") from None


def backbone_of(provenance: Mapping[str, Any]) -> Backbone:
    """The backbone of a model, without loading it.

    Raises:
        ConfigError: this version has no such backbone.
    """
    backbone = provenance["backbone"]
    return BACKBONES.build(
        str(backbone.get("family")), backbone.get("params", {}), where=f"backbone '{name_of(backbone)}'"
    )


def name_of(backbone: Mapping[str, Any]) -> str:
    """The name of a backbone in messages."""
    return str(backbone.get("name") or backbone.get("family"))


def white_of(provenance: Mapping[str, Any]) -> float | None:
    """The value that was white in the references; None for the whole range of their type."""
    white = provenance.get("white")
    return float(white) if white else None


def foreground_finder_of(provenance: Mapping[str, Any], device: str) -> ForegroundFinder | None:
    """The loaded model that finds the object; None if the method does not need it."""
    segmenter = provenance.get("segmenter")
    if not segmenter:
        return None
    from zsad.inspecting.foreground_finder import ForegroundFinder

    return ForegroundFinder(segmenter, provenance.get("foreground", {}), device)
