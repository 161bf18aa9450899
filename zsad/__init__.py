"""Zero-shot anomaly detection in images with frozen vision foundation models.

The names below are what notebooks and scripts need, see ``docs/api.md``. Each is imported at its first use, so that
``import zsad`` takes no time; the parts of the library lie in packages, a package a stage of the workflow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zsad import metrics as metrics
    from zsad.inspecting.inspector import load
    from zsad.interactive.reading import read_features, read_masks, read_scores, read_truth

_PLACES = {
    "load": "zsad.inspecting.inspector",
    "metrics": "zsad.metrics",
    "read_features": "zsad.interactive.reading",
    "read_masks": "zsad.interactive.reading",
    "read_scores": "zsad.interactive.reading",
    "read_truth": "zsad.interactive.reading",
}

__all__ = ["load", "metrics", "read_features", "read_masks", "read_scores", "read_truth"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"zsad offers no '{name}'; it offers: {', '.join(__all__)}")
    place = importlib.import_module(_PLACES[name])
    value = place if place.__name__ == f"{__name__}.{name}" else getattr(place, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
