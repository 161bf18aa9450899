"""Parameters by which methods that train, or that need large images, are quick on toys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SMALL: Mapping[str, Mapping[str, Any]] = {
    "tile_distribution": {"tile": 3},
    "flow": {"steps": 3, "width": 16, "batch": 64},
    "coupling_flow": {"steps": 3, "width": 16, "batch": 64},
    "residual_prompts": {"steps": 2},
}


ALIGNED = ("padim",)  # methods that take images of one size alone


def small(name: str) -> dict[str, Any]:
    """Those of a method."""
    return dict(SMALL.get(name, {}))
