"""Scores in buckets: a fixed-point scale so fine that few scores share a bucket with a threshold.

Pixels between two thresholds may be counted by buckets, as long as the buckets that hold a threshold are examined. So
most normal pixels need no sorting, and the result stays exact: a bucket's index never falls as the score rises.
"""

from __future__ import annotations

import numpy as np

MOST_BUCKETS = 1 << 22
LEAST_BUCKETS = 1 << 18
BUCKETS_A_THRESHOLD = 4
UPPER_QUANTILE = 0.999  # of the thresholds: if the highest is far off, scores beyond are in the last bucket
FAR_OFF = 16  # times the range up to that quantile


class Buckets:
    """Buckets around thresholds: the first lies below them all, the last holds the highest.

    Args:
        thresholds: float32 ``[threshold]``, ascending, finite, one or more.

    Attributes:
        count: number of buckets.
    """

    def __init__(self, thresholds: np.ndarray) -> None:
        wanted = 1 << int(BUCKETS_A_THRESHOLD * thresholds.size).bit_length()
        self.count = min(MOST_BUCKETS, max(LEAST_BUCKETS, wanted))
        self._lowest = thresholds[0]
        upper = thresholds[int(UPPER_QUANTILE * (thresholds.size - 1))]
        with np.errstate(over="ignore", divide="ignore"):
            span, usual = thresholds[-1] - self._lowest, upper - self._lowest
            scale = np.float32(self.count - 2) / (usual if span > FAR_OFF * usual > 0 else span)
        # Equal thresholds, or a range beyond float32: all scores in one bucket, which is slow but not wrong.
        self._scale = scale if np.isfinite(scale) else np.float32(0)

    def of(self, scores: np.ndarray) -> np.ndarray:
        """The bucket of each score, intp of the shape of ``scores`` (float32, no NaN).

        Every step rounds a monotonic function, so that of two scores the greater never has the lower bucket.
        """
        if not self._scale:
            return np.ones(scores.shape, np.intp)
        places = np.empty(scores.shape, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(scores, self._lowest, out=places)
            np.multiply(places, self._scale, out=places)
        np.add(places, np.float32(1), out=places)
        np.clip(places, 0, self.count - 1, out=places)
        return places.astype(np.int32).astype(np.intp)  # faster than at once
