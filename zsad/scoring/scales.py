"""Scales without a unit, estimated from scores alone: increasing functions of a score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Scale = Callable[[np.ndarray], np.ndarray]
MEDIAN, ONE_SIGMA = 0.5, 0.841344746  # a normal distribution has this share below one deviation above its mean


def upper_deviation(values: np.ndarray) -> tuple[float, float]:
    """Median, and the distance from it to the 84.13 % quantile, which is one deviation if values are normal."""
    median, upper = np.quantile(np.asarray(values, dtype=np.float64), (MEDIAN, ONE_SIGMA))
    return float(median), float(upper - median)


def robust_scale(values: np.ndarray) -> Scale:
    """``(x - median) / (upper deviation)``; if most values are equal, their standard deviation is used instead."""
    median, deviation = upper_deviation(values)
    deviation = deviation or float(np.std(np.asarray(values, dtype=np.float64))) or 1.0
    return lambda scores: (np.asarray(scores, dtype=np.float64) - median) / deviation


def share_scale(values: np.ndarray) -> Scale:
    """The share of ``values`` that lie below a score, equal ones count half."""
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())

    def share(scores: np.ndarray) -> np.ndarray:
        scores = np.asarray(scores, dtype=np.float64)
        below, up_to = (np.searchsorted(ordered, scores, side=side) for side in ("left", "right"))
        return (below + up_to) / (2 * len(ordered))

    return share
