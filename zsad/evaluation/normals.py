"""Normal pixels, counted against thresholds: exact, an image at a time.

Pixels in buckets without a threshold are counted by bucket. Where a bucket has one threshold they are compared with it;
where it has several, they are gathered in a block, sorted and looked up. With four million buckets the last are few.
The pixels of an image come sorted: a vectorised sort takes less time than random access to such large tables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zsad.errors import DataError
from zsad.evaluation.buckets import Buckets
from zsad.evaluation.defects import NOT_FINITE
from zsad.evaluation.ranking import negatives_above

SEVERAL = 2
IN_BUCKET, ABOVE_OCCUPANT, AT_OCCUPANT = range(3)  # the counts of each bucket
ONE = np.int32(1)
MOST_COUNTED = 1 << 30


class NormalCounts(NamedTuple):
    """Numbers of normal pixels relative to thresholds.

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
        """The counts at some of the thresholds."""
        return NormalCounts(self.above[places], self.from_threshold[places], self.total)


class NormalPixels:
    """Counts the normal pixels of images.

    Args:
        thresholds: float32 ``[threshold]``, ascending, distinct, one or more.
        block_pixels: pixels that are sorted at a time, 1 or more.

    Attributes:
        buckets: of the scores.
    """

    def __init__(self, thresholds: np.ndarray, block_pixels: int) -> None:
        self.buckets = Buckets(thresholds)
        self._places = self.buckets.of(thresholds)
        self._occupants = np.minimum(np.bincount(self._places, minlength=self.buckets.count), SEVERAL).astype(np.uint8)
        self._occupant = np.zeros(self.buckets.count, np.float32)
        self._occupant[self._places] = thresholds
        crowded = self._occupants.take(self._places) == SEVERAL
        self._crowded = np.flatnonzero(crowded)
        places = self._places[crowded]
        is_first = np.diff(places, prepend=-1) != 0
        self._crowds, self._crowd = places[is_first], np.cumsum(is_first) - 1
        self._crowded_thresholds = thresholds[crowded]
        self._block = np.empty(block_pixels, np.float32)
        self._start()

    def add(self, scores: np.ndarray, buckets: np.ndarray) -> None:
        """Count the normal pixels of an image.

        Args:
            scores: float32 ``[pixel]``, ascending; otherwise the result is right, but slow.
            buckets: ``[pixel]``, those of the scores.
        """
        if self._since_flush + scores.size > MOST_COUNTED:
            self._flush()
        occupants = self._occupants.take(buckets)
        np.add.at(self._counts[IN_BUCKET], buckets, ONE)
        self._total += scores.size
        self._since_flush += scores.size
        alone = np.flatnonzero(occupants == 1)
        self._compare(scores.take(alone), buckets.take(alone))
        self._gather(scores[occupants == SEVERAL])

    def pop_counts(self) -> NormalCounts:
        """Return the counts since the last call, and reset them."""
        self._count_block()
        in_bucket, above_occupant, at_occupant = self._counts if self._flushed is None else self._flushed + self._counts
        up_to = np.cumsum(in_bucket, dtype=np.int64)
        above = up_to[-1] - up_to.take(self._places)
        above += above_occupant.take(self._places)
        from_threshold = above + at_occupant.take(self._places)
        if self._crowded.size:  # the sorted pixels are of all such buckets, the higher of which are counted already
            up_to = np.cumsum(in_bucket.take(self._crowds), dtype=np.int64)
            higher = (up_to[-1] - up_to).take(self._crowd)
            above[self._crowded] += self._above - higher
            from_threshold[self._crowded] += self._from_threshold - higher
        counts = NormalCounts(above, from_threshold, self._total)
        self._start()
        return counts

    def _start(self) -> None:
        self._counts = np.zeros((3, self.buckets.count), np.int32)
        self._flushed: np.ndarray | None = None
        self._above, self._from_threshold = np.zeros((2, self._crowded.size), np.int64)
        self._held = self._total = self._since_flush = 0

    def _flush(self) -> None:
        """Add the 4-byte counts to the total: they are faster in the cache, but too small for a category."""
        self._flushed = self._counts.astype(np.int64) if self._flushed is None else self._flushed + self._counts
        self._counts[:] = 0
        self._since_flush = 0

    def _compare(self, scores: np.ndarray, buckets: np.ndarray) -> None:
        """Count scores of buckets with one threshold."""
        occupants = self._occupant.take(buckets)
        np.add.at(self._counts[ABOVE_OCCUPANT], buckets[scores > occupants], ONE)
        np.add.at(self._counts[AT_OCCUPANT], buckets[scores == occupants], ONE)

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
        above, from_threshold = negatives_above(scores, self._crowded_thresholds)
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
