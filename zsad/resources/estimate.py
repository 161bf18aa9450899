"""What a job is expected to take, and what is therefore asked of a scheduler."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

MEMORY_MARGIN, MEMORY_STEP = 1.5, 100  # MB
MEMORY_BESIDE = 400  # MB; on a cluster, two processes of Snakemake's run beside a job's own
TIME_MARGIN, MINUTES_BESIDE, MINUTES_STEP = 3.0, 10, 5
LONGEST = 24 * 60  # minutes; where queues end
SECOND_THREAD = 0.75  # what every thread beyond the first adds to the speed of large products


class Estimate(NamedTuple):
    """What a job is expected to take.

    Attributes:
        megabytes: resident memory at its peak, MB of 10^6 bytes.
        seconds: of one core, or of one GPU and the core that feeds it; conservative for a network.
    """

    megabytes: float
    seconds: float

    def plus(self, megabytes: float = 0.0, seconds: float = 0.0) -> Self:
        """The same job with more to do."""
        return self._replace(megabytes=self.megabytes + megabytes, seconds=self.seconds + seconds)


def memory_request(estimate: Estimate, attempt: int = 1) -> int:
    """MB that a job asks for: half as much again as expected and 400, in steps of 100, and more at each attempt."""
    return attempt * MEMORY_STEP * math.ceil((MEMORY_MARGIN * estimate.megabytes + MEMORY_BESIDE) / MEMORY_STEP)


def runtime_request(estimate: Estimate, threads: int = 1, attempt: int = 1) -> int:
    """Minutes that a job asks for: three times what is expected and 10, in steps of 5, and more at each attempt.

    A machine may be slower than the one behind the figures, or share its disk. No job asks for more than 24 hours.

    Args:
        threads: that the work is shared between.
    """
    speedup = 1 + SECOND_THREAD * (threads - 1)
    minutes = TIME_MARGIN * estimate.seconds / speedup / 60 + MINUTES_BESIDE
    return min(attempt * MINUTES_STEP * math.ceil(minutes / MINUTES_STEP), LONGEST)
