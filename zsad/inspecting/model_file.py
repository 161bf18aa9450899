"""What a model file says of itself: backbone, references, and what finds the part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsad.errors import DamagedFileError, DataError
from zsad.features.base import Backbone
from zsad.features.registry import BACKBONES
from zsad.files.fitted import FittedReader

if TYPE_CHECKING:
    from zsad.inspecting.part_masks import PartFinder

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
    try:
        with FittedReader(path) as reader:
            return reader.provenance
    except DamagedFileError as error:
        raise DataError(f"{error.path} {error.fault}; give a model that the workflow has made, {PLACE}") from None


def backbone_of(provenance: Mapping[str, Any]) -> Backbone:
    """The backbone of a model, not loaded.

    Raises:
        ConfigError: this version has no such backbone.
    """
    backbone = provenance["backbone"]
    return BACKBONES.build(backbone["family"], backbone["params"])


def white_of(provenance: Mapping[str, Any]) -> float | None:
    """The value that was white in the references; None for the whole range of their type."""
    whites = {reference.get("white") for reference in provenance["references"]}
    return whites.pop() if len(whites) == 1 else None


def part_finder_of(provenance: Mapping[str, Any], device: str) -> PartFinder | None:
    """What finds the part, loaded; None where the method does not ask for it."""
    if not provenance.get("foreground"):
        return None
    from zsad.inspecting.part_masks import PartFinder

    return PartFinder(provenance["segmenter"], provenance["foreground"], device)
