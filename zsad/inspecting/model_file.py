"""What a model file says of itself: backbone, references, and what finds the part."""

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
    from zsad.inspecting.part_masks import PartFinder

NEEDED = ("backbone", "model", "scorer", "references")  # of the provenance
PLACE = "results/NAME/CATEGORY/models/METHOD.h5"


def provenance_of(path: Path) -> dict[str, Any]:
    """What a model was made from.

    Raises:
        DataError: the file is absent, damaged or no model.
    """
    if path.is_dir():
        inside = sorted(str(file) for file in path.rglob("models/*.h5")) or sorted(map(str, path.glob("*.h5")))
        hint = f"one of its files, e.g. {inside[0]}" if inside else f"a file, {PLACE}"
        raise DataError(f"the model {path} is a folder; give {hint}")
    if not path.exists():
        raise DataError(
            f"the model {path} does not exist; give one that the workflow has made, {PLACE}, or make it by `snakemake`"
        )
    with foreign_told(), FittedReader(path) as reader:
        provenance = dict(reader.provenance)
    if missing := next((name for name in NEEDED if not isinstance(provenance.get(name), Mapping)), None):
        raise DataError(f"{path} does not say its {missing}; give a model that the workflow has made, {PLACE}")
    return provenance


@contextmanager
def foreign_told() -> Iterator[None]:
    """Say of a file that is damaged or no model what to give instead: it may be a photograph, and not to be deleted."""
    try:
        yield
    except DamagedFileError as error:
        raise DataError(f"{error.path} {error.fault}; give a model that the workflow has made, {PLACE}") from None


def backbone_of(provenance: Mapping[str, Any]) -> Backbone:
    """The backbone of a model, not loaded.

    Raises:
        ConfigError: this version has no such backbone.
    """
    backbone = provenance["backbone"]
    return BACKBONES.build(
        str(backbone.get("family")), backbone.get("params", {}), where=f"backbone '{name_of(backbone)}'"
    )


def name_of(backbone: Mapping[str, Any]) -> str:
    """What a backbone is called in messages."""
    return str(backbone.get("name") or backbone.get("family"))


def white_of(provenance: Mapping[str, Any]) -> float | None:
    """The value that was white in the references; None for the whole range of their type."""
    white = provenance.get("white")
    return float(white) if white else None


def part_finder_of(provenance: Mapping[str, Any], device: str) -> PartFinder | None:
    """What finds the part, loaded; None where the method does not ask for it."""
    segmenter = provenance.get("segmenter")
    if not segmenter:
        return None
    from zsad.inspecting.part_masks import PartFinder

    return PartFinder(segmenter, provenance.get("foreground", {}), device)
