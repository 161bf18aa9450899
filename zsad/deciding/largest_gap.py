"""Largest gap: a gap between the sorted peaks that normal images alone would not have."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import between, call_none, informative_peaks

FEWEST = 3  # images below a gap, and spacings to compare it with


class LargestGap(ThresholdRule):
    """The gap between neighbouring peaks that is the most surprising for images of one kind.

    Highest values of many patches have an exponential upper tail about (Fisher and Tippett 1928), in whose order
    statistics the normalised spacings ``(n - i) (x[i + 1] - x[i])`` are independent and all of one distribution, an
    exponential one (Renyi 1953). A spacing divided by the mean of the ``i`` lower ones has an F distribution with 2 and
    ``2 i`` degrees of freedom, so that the chance of one as wide is ``(1 + ratio / i) ** -i``. The rule takes the gap
    with the smallest chance, but only if that chance, times the number of gaps considered (Bonferroni), is at most
    ``level``; otherwise no image is called defective. The spread is estimated from the images below the gap, so that it
    does not depend on how high the defective images lie, and the comparison accounts for their number.

    The lower tail of peaks is shorter than an exponential distribution's, its spacings are narrower than the middle
    ones, and the lowest fifth of them would give too small a spread: so the rule considers only gaps above the share
    ``good`` of the images, 0.2 for batches of up to 80 % defective images, and above three images.

    Peaks are taken as they are: their logarithms would widen the gaps between normal images and narrow those above.
    ``level`` 0.05 is the chance that any image of a batch without a defect is called defective, not a share of its
    images.
    """

    summary: ClassVar[str] = "In a gap between sorted peaks that is too wide for normal images alone, if there is one."
    reference: ClassVar[str] = "Normalised spacings: Renyi 1953; outliers by gaps: Tukey; Dixon, Biometrics 1953."
    needs_batch: ClassVar[bool] = True

    level: float = Field(0.05, gt=0, lt=1, description="Chance that a batch of normal images alone has such a gap.")
    good: float = Field(0.2, ge=0, lt=1, description="Share of the images that are normal, at least.")

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images, in the middle of the gap."""
        rising = informative_peaks(evidence)
        below, chance = self._most_surprising(rising)
        if chance > self.level:
            return call_none(
                evidence,
                remarks=[
                    "No gap between the images' highest values is too wide for normal images, so none is called "
                    "defective."
                ],
            )
        region = between(float(rising[below - 1]), float(rising[below]))
        return Verdicts(evidence, region, self.reach(evidence.maps, region))

    def _most_surprising(self, rising: np.ndarray) -> tuple[int, float]:
        """How many images lie below the gap, and its chance among all gaps considered; 1 without any."""
        count = len(rising)
        first = max(int(np.ceil(self.good * count)), FEWEST + 1)
        if count <= first:
            return 0, 1.0
        spacings = np.diff(rising) * np.arange(count - 1, 0, -1)
        lower = np.arange(first - 1, count - 1)  # number of lower spacings of each gap
        mean = np.cumsum(spacings)[lower - 1] / lower
        ratio = np.divide(spacings[lower], mean, out=np.zeros(len(lower)), where=mean > 0)
        chances = np.exp(-lower * np.log1p(ratio / lower))
        best = int(np.argmin(chances))
        return int(lower[best]) + 1, float(chances[best] * len(lower))
