"""The maps of a method with the regions that its decisions mark: the input of all refiners."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zsad.files.decisions import DecisionReader, check_peak, check_same_images
from zsad.files.scores import ScoreReader
from zsad.maps import Thresholds, standing_out


class MarkedMap(NamedTuple):
    """An anomaly map at its image's size, in which one threshold separates the marked pixels.

    Attributes:
        anomaly_map: float32 ``[height, width]``; unmarked regions are lowered to the threshold.
        threshold: finite if anything exceeds it. At least just below the map's least value, where it marks the whole
            image, because refiners measure heights above it.
    """

    anomaly_map: np.ndarray
    threshold: float


class MarkedMaps:
    """The maps of a method with the marks of its decisions.

    Args:
        scores: the method's open score file.
        decisions: its open decision file.

    Raises:
        DataError: the two do not show the same images in the same order.
    """

    def __init__(self, scores: ScoreReader, decisions: DecisionReader) -> None:
        check_same_images(scores, decisions)
        self._scores, self._decisions = scores, decisions

    def has_marks(self, index: int) -> bool:
        """Whether anything is marked in an image: whether it is called defective, by a method that localises.

        Raises:
            DataError: see `grid_map`.
        """
        check_peak(self._scores, self._decisions, index)  # even for images without marks
        return self._scores.localises and bool(self._decisions.decided[index])

    def thresholds(self, index: int) -> Thresholds:
        """The thresholds of an image."""
        return self._decisions.thresholds(index)

    def grid_map(self, index: int) -> np.ndarray:
        """The map of an image as it is stored, float32 ``[row, column]``.

        Raises:
            DataError: the decision belongs to another map.
        """
        check_peak(self._scores, self._decisions, index)
        return self._scores.anomaly_map(index)

    def at_size(self, index: int, height: int, width: int) -> MarkedMap:
        """The map of an image of ``height x width`` with its marks, which exist if and only if `has_marks`.

        Raises:
            DataError: see `grid_map`.
        """
        thresholds = self.thresholds(index)
        anomaly_map = standing_out(self.grid_map(index), thresholds, height, width)
        least = np.nextafter(anomaly_map.min(), np.float32(-np.inf))
        return MarkedMap(anomaly_map, max(thresholds.pixel, float(least)))
