"""What of a method's maps is marked by its decisions: the one input of whatever outlines defects."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zsad.errors import DataError
from zsad.files.decisions import DecisionReader
from zsad.files.scores import ScoreReader
from zsad.maps import Thresholds, standing_out


class MarkedMap(NamedTuple):
    """An anomaly map at its image's size, in which what is marked is what exceeds one threshold.

    Attributes:
        anomaly_map: float32 ``[height, width]``; regions that do not stand out are lowered to the threshold.
        threshold: finite if anything exceeds it. No lower than just below the map's least value, from where on it
            marks the whole image: refiners measure how high a value is above it.
    """

    anomaly_map: np.ndarray
    threshold: float


class MarkedMaps:
    """The maps of a method with what its decisions mark in them.

    Args:
        scores: the method's open score file.
        decisions: its open decision file.

    Raises:
        DataError: the two do not show the same images in the same order, or the decisions are of other scores.
    """

    def __init__(self, scores: ScoreReader, decisions: DecisionReader) -> None:
        if decisions.image_ids != scores.image_ids:
            raise DataError(
                f"{decisions.path} and {scores.path} do not show the same images in the same order; delete the former "
                "and run again"
            )
        if decisions.localises != scores.localises:
            raise self._other_scores(scores, decisions)
        self._scores, self._decisions = scores, decisions

    def has_marks(self, index: int) -> bool:
        """Whether anything is marked in an image: whether it is called defective, by a method that localises.

        Raises:
            DataError: see `grid_map`.
        """
        if not self._scores.localises:
            return False
        self.grid_map(index)  # even where nothing is to be done, decisions must be those of the scores
        return bool(self._decisions.decided[index])

    def thresholds(self, index: int) -> Thresholds:
        """The thresholds of an image."""
        return self._decisions.thresholds(index)

    def grid_map(self, index: int) -> np.ndarray:
        """The map of an image as it is stored, float32 ``[row, column]``.

        Raises:
            DataError: the image was decided by another map.
        """
        anomaly_map = self._scores.anomaly_map(index)
        if self._scores.localises and float(anomaly_map.max()) != self._decisions.peaks[index]:
            raise self._other_scores(self._scores, self._decisions)
        return anomaly_map

    def at_size(self, index: int, height: int, width: int) -> MarkedMap:
        """The map of an image of ``height x width`` as it is marked: anywhere, if and only if `has_marks`.

        Raises:
            DataError: see `grid_map`.
        """
        thresholds = self.thresholds(index)
        anomaly_map = standing_out(self.grid_map(index), thresholds, height, width)
        least = np.nextafter(anomaly_map.min(), np.float32(-np.inf))
        return MarkedMap(anomaly_map, max(thresholds.pixel, float(least)))

    @staticmethod
    def _other_scores(scores: ScoreReader, decisions: DecisionReader) -> DataError:
        return DataError(f"{decisions.path} was decided by other scores than {scores.path}; delete it and run again")
