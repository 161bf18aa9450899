"""Marked regions of each image, and checks that decisions belong to the scores; no labels are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from zsad.data.manifest import ImageRecord
from zsad.evaluation.defects import region_areas
from zsad.files.decisions import DecisionReader
from zsad.files.scores import ScoreReader
from zsad.maps import Thresholds, standing_out


class Marks(NamedTuple):
    """Marked regions of an image at its own size, before any refiner.

    Attributes:
        regions: number of 8-connected regions.
        share: of the image's pixels.
    """

    regions: int
    share: float


NOTHING = Marks(0, 0.0)
NONE_KNOWN: Mapping[int, Marks] = MappingProxyType({})


def marks_of(
    scores: ScoreReader,
    decisions: DecisionReader,
    records: Sequence[ImageRecord],
    known: Mapping[int, Marks] = NONE_KNOWN,
) -> list[Marks | None]:
    """The marks of every image, read one at a time; None where the method does not localise.

    Args:
        known: marks that are known already, by position.
    """
    if not scores.localises:
        return [None] * len(records)
    return [
        known[index]
        if index in known
        else marks_in(scores.anomaly_map(index), decisions.thresholds(index), record.height, record.width)
        for index, record in enumerate(records)
    ]


def marks_in(anomaly_map: np.ndarray, thresholds: Thresholds, height: int, width: int) -> Marks:
    """The marks in an image of ``height x width`` by its map, float ``[row, column]``.

    There is a region if and only if the image is called defective: if the highest value exceeds ``thresholds.region``.
    """
    if not anomaly_map.max() > thresholds.region:
        return NOTHING
    _, areas = region_areas(marked(anomaly_map, thresholds, height, width))
    return Marks(len(areas), float(areas.sum() / (height * width)))


def mask_of(scores: ScoreReader, decisions: DecisionReader, index: int, height: int, width: int) -> np.ndarray:
    """The marked pixels of one image at a size, bool ``[height, width]``; none if the method does not localise."""
    if not scores.localises:
        return np.zeros((height, width), dtype=bool)
    return marked(scores.anomaly_map(index), decisions.thresholds(index), height, width)


def marked(anomaly_map: np.ndarray, thresholds: Thresholds, height: int, width: int) -> np.ndarray:
    """The marked regions of a map, float ``[row, column]``; bool ``[height, width]``."""
    above: np.ndarray = standing_out(anomaly_map, thresholds, height, width) > np.float32(thresholds.pixel)
    return above
