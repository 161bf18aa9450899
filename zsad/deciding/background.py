"""Model of normal images: the tail of their patches, and how much the levels of whole images differ."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from zsad.deciding.base import median_patch
from zsad.deciding.tail import Tail, chosen_ranks, crossing, exceeded_at, fit_tail, highest_values
from zsad.maps import informative_maps

LOWER = 0.16  # of a normal distribution lies more than one deviation below its mean, about
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(9)  # of a mean over a normal distribution
LEAST_LEVEL = 0.2  # of an image, relative to the others
LEAST_CHANCE = 1e-6  # further out a tail is no evidence
DEEP = 0.2  # of the ranks that the tail is fitted to: from there on they show the level of an image


class Background(NamedTuple):
    """Model of normal images.

    Attributes:
        tail: of the values of their patches.
        ordinary: their median.
        spread: deviation of the level of an image, its height above ``ordinary``, as a share of it.
        patches: of an image.
    """

    tail: Tail
    ordinary: float
    spread: float
    patches: float

    def chance(self, peaks: np.ndarray) -> np.ndarray:
        """Chance that the highest patch of a normal image exceeds each peak; float64 ``[image]``, at least 1e-6."""
        levels = np.maximum(1 + self.spread * NODES, LEAST_LEVEL)
        above = self.tail.survival(self.ordinary + (peaks[:, None] - self.ordinary) / levels)
        in_image = -np.expm1(self.patches * np.log1p(-np.minimum(above, 1 - 1e-16)))
        mean = (in_image * WEIGHTS).sum(axis=1) / WEIGHTS.sum()  # the same sum for an image wherever it stands
        chances: np.ndarray = np.maximum(mean, LEAST_CHANCE)
        return chances

    def exceeded_by(self, alpha: float) -> float:
        """The value that the highest patch of a normal image exceeds with the chance ``alpha``, by bisection."""
        low = self.ordinary
        high = max(self.tail.quantile(alpha / self.patches * 1e-3), low)
        high = low + (high - low) * (1 + 10 * self.spread)
        return crossing(lambda value: bool(self.chance(np.array([value]))[0] > alpha), low, high)


def fit_background(
    maps: Sequence[np.ndarray], *, good: float, presumed: float, top: float, curved: bool, spread: bool
) -> Background | None:
    """Fit the model of normal images to images some of which may be defective; None if all patches are equal.

    Args:
        good: share of the images that are normal, at least: at each rank of the sorted maps the quantile of this share
            is taken.
        presumed: share of the images that is likely defective: a low quantile of all images is a somewhat higher
            quantile of the normal ones.
        top: share of an image's patches that the tail is fitted to.
        curved: whether the shape of the tail is fitted too; else it is exponential.
        spread: whether images may differ in their level as wholes.
    """
    informative = informative_maps(maps)
    if not informative:
        return None
    patches = float(np.median([anomaly_map.size for anomaly_map in informative]))
    ranks = chosen_ranks(patches, top)
    values = highest_values(informative, ranks)
    tail = fit_tail(
        exceeded_at(ranks, patches, min(good / (1 - presumed), 0.9)), np.quantile(values, good, axis=0), curved=curved
    )
    if tail is None:
        return None
    ordinary = median_patch(informative)
    levels = values[:, ranks >= DEEP * ranks[-1]].mean(axis=1) - ordinary
    return Background(tail, ordinary, _spread_of(levels, good) if spread else 0.0, patches)


def _spread_of(levels: np.ndarray, good: float) -> float:
    """The deviation of the levels of normal images, relative to a usual one, from the lower ones of all."""
    lower = LOWER * 2 * good
    usual, low = np.quantile(levels, (good, lower))
    steps = NormalDist().inv_cdf(good) - NormalDist().inv_cdf(lower)
    return float(max(usual - low, 0.0) / steps / usual) if usual > 0 else 0.0
