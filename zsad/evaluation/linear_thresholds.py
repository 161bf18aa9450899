"""Pixels and regions at 200 thresholds evenly spaced between the least and the greatest score of a category.

MuSc and, before it, CFLOW-AD compute AUPRO in this way: the thresholds begin at the least score and leave out the
greatest, and pixels that exceed one count. A bootstrap replicate, or one defect type, is measured at the thresholds of
the whole category. Memory: 3 KB an image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zsad.evaluation.defects import DefectivePixels
from zsad.evaluation.ranking import Ranking

STEPS = 200


class LinearCounts(NamedTuple):
    """Counts of each image by the number of thresholds that its pixels exceed, from all of them down to none.

    Attributes:
        positives, negatives: ``[image, threshold + 1]``, defective and normal pixels.
        overlap: ``[image, threshold + 1]``, sums over the regions of the share of the region.
        regions: ``[image]``, number of regions.
    """

    positives: np.ndarray
    negatives: np.ndarray
    overlap: np.ndarray
    regions: np.ndarray

    def of_images(self, chosen: np.ndarray) -> LinearCounts:
        """Those of the images chosen by a bool ``[image]``."""
        return LinearCounts(*(values[chosen] for values in self))

    def resampled(self, weights: np.ndarray) -> tuple[Ranking, np.ndarray]:
        """Counts and mean overlaps ``[replicate, threshold]`` above descending thresholds.

        Args:
            weights: ``[replicate, image]``, how often each image is sampled.
        """
        above, from_all = (np.cumsum(weights @ values, axis=-1) for values in (self.positives, self.negatives))
        with np.errstate(invalid="ignore", divide="ignore"):
            overlap = np.cumsum(weights @ self.overlap, axis=-1)[:, :-1] / (weights @ self.regions)[:, None]
        ranking = Ranking(
            true_positives=above[:, :-1],
            false_positives=from_all[:, :-1],
            false_positives_above=from_all[:, :-1],
            positives=above[:, -1],
            negatives=from_all[:, -1],
        )
        return ranking, overlap

    def together(self) -> tuple[Ranking, np.ndarray]:
        """The same ``[threshold]`` of all images, each once."""
        ranking, overlap = self.resampled(np.ones((1, len(self.regions))))
        one = Ranking(**{name: values[0] for name, values in vars(ranking).items()})
        return one, overlap[0]


class LinearThresholds:
    """Counts images at the thresholds.

    Args:
        least, greatest: scores of the category.
        regions: int ``[image]``, number of defective regions.
    """

    def __init__(self, least: np.float32, greatest: np.float32, regions: np.ndarray) -> None:
        thresholds = linear_thresholds(float(least), float(greatest))
        # The greatest float32 that does not exceed a threshold separates the float32 scores as the threshold does.
        parting = thresholds.astype(np.float32)
        parting[parting > thresholds] = np.nextafter(parting[parting > thresholds], np.float32(-np.inf))
        self._parting = parting
        self._regions = regions
        self._positives, self._negatives, self._overlap = np.zeros((3, len(regions), thresholds.size + 1))

    def add(self, index: int, normal: np.ndarray, defective: DefectivePixels | None) -> None:
        """Count an image.

        Args:
            normal: float32 ``[pixel]``, scores of its normal pixels.
            defective: its defective pixels; None if it has none.
        """
        count = self._parting.size + 1
        self._negatives[index] = np.bincount(self._exceeded(normal), minlength=count)[::-1]
        if defective is not None:
            bins = self._exceeded(defective.scores)
            self._positives[index] = np.bincount(bins, minlength=count)[::-1]
            self._overlap[index] = np.bincount(bins, defective.overlap, count)[::-1]

    def _exceeded(self, scores: np.ndarray) -> np.ndarray:
        """How many thresholds each score exceeds."""
        return np.searchsorted(self._parting, scores, side="left")

    def counts(self) -> LinearCounts:
        """The counts so far."""
        return LinearCounts(self._positives, self._negatives, self._overlap, self._regions)


def linear_thresholds(least: float, greatest: float) -> np.ndarray:
    """Ascending thresholds, float64 ``[threshold]``; none between equal scores."""
    if not least < greatest:
        return np.zeros(0)
    return np.arange(least, greatest, (greatest - least) / STEPS)
