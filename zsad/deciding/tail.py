"""The upper tail of the values of normal patches: a generalised Pareto distribution, fitted to its quantiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

RANKS = 16  # of a sorted map, to which the tail is fitted: evenly spaced as logarithms
LIGHTEST, HEAVIEST, SHAPES = -0.3, 0.5, 41  # shapes that are tried: from a bounded tail to one without a variance
HALVINGS = 60
FEWEST = 3  # points needed for a line and its curvature
NEVER = 700.0  # greatest exponent that exp() accepts


class Tail(NamedTuple):
    """A generalised Pareto tail.

    Attributes:
        exceeded: share of the values above ``start``.
        start: value at which it begins.
        scale: in the unit of the values, above 0.
        shape: 0 for an exponential tail, above for a heavier one, below for one with an end.
    """

    exceeded: float
    start: float
    scale: float
    shape: float

    def survival(self, values: np.ndarray) -> np.ndarray:
        """The share of all values that exceed each of ``values``; below ``start`` as by the fit, up to 1."""
        steps = (np.asarray(values, dtype=np.float64) - self.start) / self.scale
        if self.shape:
            with np.errstate(divide="ignore"):
                steps = np.log(np.maximum(1 + self.shape * steps, 0)) / self.shape
        above: np.ndarray = np.minimum(self.exceeded * np.exp(-np.clip(steps, -NEVER, NEVER)), 1.0)
        return above

    def quantile(self, exceeded: float) -> float:
        """The value that a share of all values, above 0, exceeds."""
        steps = np.log(self.exceeded / exceeded)
        return float(self.start + self.scale * (np.expm1(self.shape * steps) / self.shape if self.shape else steps))


def fit_tail(exceeded: np.ndarray, values: np.ndarray, *, curved: bool = True) -> Tail | None:
    """Fit a tail to given quantiles by least squares; None if they do not rise.

    For each of some shapes the quantiles are a straight line, so that location and scale follow in closed form.

    Args:
        exceeded: shares in (0, 1), ``[point]``, rising.
        values: the value that each share of all values exceeds, falling; ``[point]``.
        curved: whether the shape is fitted too; else it is 0, an exponential tail.
    """
    steps = np.log(exceeded[-1] / np.asarray(exceeded, dtype=np.float64))
    values = np.asarray(values, dtype=np.float64)
    if not values[0] > values[-1]:
        return None
    best, least = None, np.inf
    for shape in np.linspace(LIGHTEST, HEAVIEST, SHAPES) if curved and len(values) >= FEWEST else [0.0]:
        along = np.expm1(shape * steps) / shape if abs(shape) > 1e-9 else steps
        centred = along - along.mean()
        spread = float(centred @ centred)
        scale = float(centred @ values) / spread if spread > 0 else 0.0
        start = float(values.mean() - scale * along.mean())
        error = float(((start + scale * along - values) ** 2).sum())
        if scale > 0 and error < least:
            least, best = error, Tail(float(exceeded[-1]), start, scale, float(shape) if abs(shape) > 1e-9 else 0.0)
    return best


def crossing(is_more: Callable[[float], bool], low: float, high: float) -> float:
    """The value at which a falling chance is no longer too great, by bisection; from above.

    Args:
        is_more: whether the chance at a value is too great; it is at ``low``, and is not at ``high``.
    """
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_more(middle) else (low, middle)
    return high


def chosen_ranks(patches: float, top: float) -> np.ndarray:
    """Ranks 1 to ``top * patches`` of a sorted map, the greatest value first; int ``[rank]``."""
    last = max(FEWEST, int(top * patches))
    return np.unique(np.rint(np.geomspace(1, last, RANKS)).astype(int))


def highest_values(maps: Sequence[np.ndarray], ranks: np.ndarray) -> np.ndarray:
    """The values at given ranks of each map, the greatest first; float64 ``[map, rank]``.

    Ranks are those in a map of the median size; in a larger one the same shares of its patches lie deeper.
    """
    patches = np.median([anomaly_map.size for anomaly_map in maps])
    found = np.empty((len(maps), len(ranks)))
    for row, anomaly_map in zip(found, maps, strict=True):
        last = min(int(np.ceil(ranks[-1] * anomaly_map.size / patches)) + 1, anomaly_map.size)
        highest = -np.sort(-np.partition(anomaly_map.ravel(), anomaly_map.size - last)[-last:].astype(np.float64))
        row[:] = np.interp((ranks - 0.5) * anomaly_map.size / patches - 0.5, np.arange(last), highest)
    return found


def exceeded_at(ranks: np.ndarray, patches: float, share: float) -> np.ndarray:
    """The share of all values above the one at a rank, where that is the ``share``-quantile over many samples.

    With ``n`` values in a sample, fewer than ``r`` exceed the ``1 - u`` quantile with a chance that is about that of a
    gamma variable of shape ``r`` to exceed ``n u``; its quantile by Wilson and Hilferty (PNAS 1931), within 1 %.

    Args:
        ranks: int ``[rank]``, 1 for the greatest value.
        patches: values in a sample.
        share: of the samples whose value at the rank is smaller, in (0, 1).
    """
    normal = NormalDist().inv_cdf(1 - share)
    gamma: np.ndarray = ranks * (1 - 1 / (9 * ranks) + normal / (3 * np.sqrt(ranks))) ** 3
    return np.minimum(gamma / patches, 1 - 1 / (patches + 1))
