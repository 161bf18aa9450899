"""Zero-shot anomaly detection in images with frozen vision foundation models.

The names below are for notebooks and scripts, see ``docs/api.md``. Each is imported at its first use, so that ``import
zsad`` is fast; the rest of the library is in packages, one per stage of the workflow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zsad import metrics as metrics
    from zsad.inspecting.inspection import Inspection
    from zsad.inspecting.inspector import load
    from zsad.interactive.asking import MemoryTexts, encode_texts, read_texts
    from zsad.interactive.classifying import classify
    from zsad.interactive.deciding import decide
    from zsad.interactive.extracting import extract
    from zsad.interactive.fitting import fit
    from zsad.interactive.reading import (
        read_classification,
        read_decisions,
        read_features,
        read_masks,
        read_scores,
        read_truth,
    )
    from zsad.interactive.training import Labelled, train
    from zsad.interactive.trying import score
    from zsad.scoring.token_source import MemoryTokens

_PLACES = {
    "Inspection": "zsad.inspecting.inspection",
    "Labelled": "zsad.interactive.training",
    "MemoryTexts": "zsad.interactive.asking",
    "MemoryTokens": "zsad.scoring.token_source",
    "classify": "zsad.interactive.classifying",
    "decide": "zsad.interactive.deciding",
    "encode_texts": "zsad.interactive.asking",
    "extract": "zsad.interactive.extracting",
    "fit": "zsad.interactive.fitting",
    "load": "zsad.inspecting.inspector",
    "metrics": "zsad.metrics",
    "read_classification": "zsad.interactive.reading",
    "read_decisions": "zsad.interactive.reading",
    "read_features": "zsad.interactive.reading",
    "read_masks": "zsad.interactive.reading",
    "read_scores": "zsad.interactive.reading",
    "read_texts": "zsad.interactive.asking",
    "read_truth": "zsad.interactive.reading",
    "score": "zsad.interactive.trying",
    "train": "zsad.interactive.training",
}

__all__ = [
    "Inspection",
    "Labelled",
    "MemoryTexts",
    "MemoryTokens",
    "classify",
    "decide",
    "encode_texts",
    "extract",
    "fit",
    "load",
    "metrics",
    "read_classification",
    "read_decisions",
    "read_features",
    "read_masks",
    "read_scores",
    "read_texts",
    "read_truth",
    "score",
    "train",
]


if not TYPE_CHECKING:  # which would accept any name

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"zsad has no name '{name}'; it offers: {', '.join(__all__)}")
        place = importlib.import_module(_PLACES[name])
        value = place if place.__name__ == f"{__name__}.{name}" else getattr(place, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
