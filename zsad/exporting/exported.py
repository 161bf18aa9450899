"""The exported data: an image with its results, and the common data of an export."""

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
    """One image, upright, with the results of a method.

    Attributes:
        image_id: its name in tables and annotations: a unique relative path with forward slashes.
        path: path of its file.
        height, width: pixels.
        score: image score, greater is more anomalous.
        decided: the decision on it.
        photograph: reads the image, uint8 RGB ``[height, width, 3]``; called only by formats that draw on it.
        mask: bool ``[height, width]``, the marked regions; None from a method that scores only images.
        anomaly_map: float32 ``[height, width]``, see `zsad.exporting.marks.Marked`; None likewise.
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
        """The regions of the mask with their pixels, highest peak first; empty without a mask."""
        if self.mask is None or self.anomaly_map is None:
            return []
        return find_pieces(self.mask, self.anomaly_map)

    @cached_property
    def polygons(self) -> list[list[Point]]:
        """The outline of each region, in the same order; see `zsad.exporting.polygons`."""
        return [polygon(piece.pixels, piece.region.box[:2]) for piece in self.pieces]


@dataclass(frozen=True)
class Export:
    """The common data of the images of an export.

    Attributes:
        folder: the final folder of the export; paths in its files are relative to it.
        title: e.g. ``"magnetic_tile by memory_bank"``.
        scale: colour scale of the maps; None from a method that scores only images.
        names: file names of its images.
    """

    folder: Path
    title: str
    scale: ColourScale | None = None
    names: Names = field(default_factory=Names)
