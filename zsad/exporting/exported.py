"""What is exported: an image with what was found in it, and what the images of an export have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zsad.deciding.decision import Decision
from zsad.exporting.names import Names
from zsad.exporting.polygons import Point, polygon
from zsad.exporting.regions import Piece, find_pieces

if TYPE_CHECKING:  # imports matplotlib, which only pictures need
    from zsad.reporting.overlays import ColourScale


@dataclass(frozen=True)
class ExportedImage:
    """One image, upright, and what a method found in it.

    Attributes:
        image_id: what it is called in tables and annotations: a relative path with forward slashes; unique.
        path: of its file.
        height, width: pixels.
        score: image score, greater is more anomalous.
        decided: what is decided of it.
        photograph: gives the image, uint8 RGB ``[height, width, 3]``; asked only by what draws on it.
        mask: bool ``[height, width]``, what is called defective; None from a method that scores images alone.
        anomaly_map: float32 ``[height, width]``, as `zsad.exporting.marks.Marked` has it; None likewise.
    """

    image_id: str
    path: str | Path
    height: int
    width: int
    score: float
    decided: Decision
    photograph: Callable[[], np.ndarray]
    mask: np.ndarray | None = None
    anomaly_map: np.ndarray | None = None

    @cached_property
    def pieces(self) -> list[Piece]:
        """The regions of the mask with their pixels, highest peak first; none without a mask."""
        if self.mask is None or self.anomaly_map is None:
            return []
        return find_pieces(self.mask, self.anomaly_map)

    @cached_property
    def polygons(self) -> list[list[Point]]:
        """The line around each region, in the same order; see `zsad.exporting.polygons`."""
        return [polygon(piece.pixels, piece.region.box[:2]) for piece in self.pieces]


@dataclass(frozen=True)
class Export:
    """What the images of an export have in common.

    Attributes:
        folder: where the export will lie in the end; what it says of places is relative to it.
        title: what it is of, e.g. ``"magnetic_tile by memory_bank"``.
        scale: the colours of the maps; None from a method that scores images alone.
        names: what the files of its images are called.
    """

    folder: Path
    title: str
    scale: ColourScale | None = None
    names: Names = field(default_factory=Names)
