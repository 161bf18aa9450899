"""The estimate of a job's resources, and the request to a scheduler."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

MEMORY_MARGIN, MEMORY_STEP = 1.5, 100  # MB
MEMORY_BESIDE = 400  # MB; on a cluster, two processes of Snakemake run beside a job's own
TIME_MARGIN, MINUTES_BESIDE, MINUTES_STEP = 3.0, 10, 5
LONGEST = 24 * 60  # minutes; the limit of usual queues
SECOND_THREAD = 0.75  # speed-up of large products by every further thread


class Estimate(NamedTuple):
    """The expected resources of a job.

    Attributes:
        megabytes: resident memory at its peak, MB of 10^6 bytes.
        seconds: of one core, or of one GPU and the core that feeds it; conservative for a network.
    """

    megabytes: float
    seconds: float

    def plus(self, megabytes: float = 0.0, seconds: float = 0.0) -> Self:
        """Return the estimate with additional memory and time."""
        return self._replace(megabytes=self.megabytes + megabytes, seconds=self.seconds + seconds)


def memory_request(estimate: Estimate, attempt: int = 1) -> int:
    """MB that a job requests: 1.5 times the estimate plus 400, in steps of 100, and more at each attempt."""
    return attempt * MEMORY_STEP * math.ceil((MEMORY_MARGIN * estimate.megabytes + MEMORY_BESIDE) / MEMORY_STEP)


def runtime_request(estimate: Estimate, threads: int = 1, attempt: int = 1) -> int:
    """Minutes that a job requests: three times the estimate plus 10, in steps of 5, and more at each attempt.

    A machine may be slower than the one behind the estimates, or share its disk. No job requests more than 24 hours.

    Args:
        threads: that the work is shared between.
    """
    speedup = 1 + SECOND_THREAD * (threads - 1)
    minutes = TIME_MARGIN * estimate.seconds / speedup / 60 + MINUTES_BESIDE
    return min(attempt * MINUTES_STEP * math.ceil(minutes / MINUTES_STEP), LONGEST)
