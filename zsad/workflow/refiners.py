"""The resolved refiners of a configuration."""

from __future__ import annotations

from collections.abc import Collection

from zsad.errors import ConfigError, nearest_hint
from zsad.names import NO_REFINER
from zsad.refinement.registry import REFINERS
from zsad.workflow.entries import RefinerEntry
from zsad.workflow.references import Models
from zsad.workflow.schema import Config
from zsad.workflow.sections import ConfiguredRefiner


def refiner_entries(config: Config, models: Models) -> dict[str, RefinerEntry]:
    """The refiners that are not switched off, by name; their segmenters are added to ``models``.

    Raises:
        ConfigError: a refiner or segmenter that does not exist, or a wrong parameter.
    """
    return {name: _refiner(name, entry, models) for name, entry in config.refiners.items() if entry is not None}


def check_shown(name: str, refiners: Collection[str], key: str) -> None:
    """Reject a name of masks that is neither a refiner nor ``"none"``, the thresholded map.

    Args:
        key: its key in the configuration, e.g. ``"report.refiner"``.

    Raises:
        ConfigError: it is neither.
    """
    known = [*refiners, NO_REFINER]
    if name not in known:
        raise ConfigError(f"{key} '{name}' is not among the refiners{nearest_hint(name, known)}")


def _refiner(name: str, entry: ConfiguredRefiner, models: Models) -> RefinerEntry:
    where = f"refiners.{name}"
    refiner = REFINERS.build(entry.refiner, entry.params, where=f"{where}.params")
    if not refiner.uses_segmenter and entry.segmenter is not None:
        raise ConfigError(f"{where}: refiner '{entry.refiner}' uses no segmenter; remove 'segmenter'")
    return RefinerEntry(
        name=name,
        refiner=entry.refiner,
        params=refiner.parameters(),
        segmenter=models.segmenter(entry.segmenter, where) if refiner.uses_segmenter else "",
        foreground=refiner.uses_foreground,
        crops=refiner.crop_parameters(),
    )
