"""Normal pixels, counted against thresholds: exact, an image at a time.

Pixels in buckets without a threshold are counted by bucket. Where a bucket has one threshold they are compared with it;
where it has several, they are gathered in a block, sorted and looked up. With four million buckets the last are few.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zsad.errors import DataError
from zsad.evaluation.buckets import Buckets
from zsad.evaluation.defects import NOT_FINITE
from zsad.evaluation.ranking import negatives_above

SEVERAL = 2
ONE = np.int32(1)
MOST_COUNTED = 1 << 30


class NormalCounts(NamedTuple):
    """How many normal pixels lie where.

    Attributes:
        above: int64 ``[threshold]``, strictly above each threshold.
        from_threshold: int64 ``[threshold]``, at or above it.
        total: all.
    """

    above: np.ndarray
    from_threshold: np.ndarray
    total: int

    def plus(self, other: NormalCounts) -> NormalCounts:
        """Both together."""
        return NormalCounts(
            self.above + other.above, self.from_threshold + other.from_threshold, self.total + other.total
        )

    def at(self, places: np.ndarray) -> NormalCounts:
        """At some of the thresholds alone."""
        return NormalCounts(self.above[places], self.from_threshold[places], self.total)


class NormalPixels:
    """Counts the normal pixels of images.

    Args:
        thresholds: float32 ``[threshold]``, ascending, distinct, one or more.
        block_pixels: pixels that are held to be sorted, 1 or more.

    Attributes:
        buckets: of the scores.
    """

    def __init__(self, thresholds: np.ndarray, block_pixels: int) -> None:
        self._thresholds = thresholds
        self.buckets = Buckets(thresholds)
        self._places = self.buckets.of(thresholds)
        self._occupants = np.minimum(np.bincount(self._places, minlength=self.buckets.count), SEVERAL).astype(np.uint8)
        self._occupant = np.zeros(self.buckets.count, np.float32)
        self._occupant[self._places] = thresholds
        self._block = np.empty(block_pixels, np.float32)
        self._start()

    def add(self, scores: np.ndarray, buckets: np.ndarray, defective: np.ndarray | None) -> None:
        """Count the pixels of an image.

        Args:
            scores: float32 ``[pixel]``.
            buckets: ``[pixel]``, those of the scores.
            defective: bool ``[pixel]``, pixels that do not count; None if all do.
        """
        if self._since_flush + scores.size > MOST_COUNTED:
            self._flush()
        occupants = self._occupants.take(buckets)
        np.add.at(self._by_bucket, buckets, ONE)
        self._total += scores.size
        self._since_flush += scores.size
        if defective is not None:
            others = buckets[defective]
            np.subtract.at(self._by_bucket, others, ONE)
            self._total -= others.size
            occupants[defective] = 0
        near = np.flatnonzero(occupants)
        is_alone = occupants.take(near) == 1
        alone = near[is_alone]
        self._compare(scores.take(alone), buckets.take(alone))
        self._gather(scores.take(near[~is_alone]))

    def taken(self) -> NormalCounts:
        """What was counted since the last time."""
        self._flush()
        self._count_block()
        higher = self._flushed
        higher[self._occupants == SEVERAL] = 0  # these are in the sorted ones
        of_all = higher.sum()
        np.cumsum(higher, out=higher)
        above, from_threshold = self._above, self._from_threshold
        beyond_bucket = of_all - higher.take(self._places)
        above += beyond_bucket
        from_threshold += beyond_bucket
        of_occupant = self._above_occupant.take(self._places)
        above += of_occupant
        from_threshold += of_occupant
        from_threshold += self._at_occupant.take(self._places)
        counts = NormalCounts(above, from_threshold, self._total)
        self._start()
        return counts

    def _start(self) -> None:
        self._by_bucket = np.zeros(self.buckets.count, np.int32)
        self._flushed, self._above_occupant, self._at_occupant = np.zeros((3, self.buckets.count), np.int64)
        self._above = np.zeros(self._thresholds.size, np.int64)
        self._from_threshold = np.zeros(self._thresholds.size, np.int64)
        self._held = self._total = self._since_flush = 0

    def _flush(self) -> None:
        """Counts of 4 bytes are faster, since more of them are at hand, but not enough for a whole category."""
        self._flushed += self._by_bucket
        self._by_bucket[:] = 0
        self._since_flush = 0

    def _compare(self, scores: np.ndarray, buckets: np.ndarray) -> None:
        """Count scores of buckets with one threshold."""
        occupants = self._occupant.take(buckets)
        np.add.at(self._above_occupant, buckets[scores > occupants], 1)
        np.add.at(self._at_occupant, buckets[scores == occupants], 1)

    def _gather(self, scores: np.ndarray) -> None:
        while scores.size:
            part = scores[: self._block.size - self._held]
            self._block[self._held : self._held + part.size] = part
            self._held += part.size
            scores = scores[part.size :]
            if self._held == self._block.size:
                self._count_block()

    def _count_block(self) -> None:
        if not self._held:
            return
        scores = self._block[: self._held]
        scores.sort()
        above, from_threshold = negatives_above(scores, self._thresholds)
        self._above += above
        self._from_threshold += from_threshold
        self._held = 0


def finite_scores(anomaly_map: np.ndarray) -> np.ndarray:
    """The pixels of a map as float32 ``[pixel]``.

    Raises:
        DataError: one is not finite.
    """
    scores = np.ascontiguousarray(anomaly_map, np.float32).ravel()
    if scores.size and not (np.isfinite(scores.min()) and np.isfinite(scores.max())):
        raise DataError(NOT_FINITE)
    return scores
