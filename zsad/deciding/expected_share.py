"""Expected share: the approximate share of defective images is known, and the peaks determine the exact cut."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import between, call_none, informative_peaks, log_heights, ordinary_value

ROUNDING = 1e-9  # of shares that are equal


class ExpectedShare(ThresholdRule):
    """The best cut among those that call approximately the expected share of the images defective.

    The rule considers all cuts between two neighbouring peaks whose share of defective images differs from ``share`` by
    at most ``tolerance``, or the nearest cut if there is none. Of these it takes the widest gap, in logarithms of the
    heights above the ordinary patch (the median of all), or the cut of Otsu's method: the highest variance between the
    two sides. Logarithms, since defects spread: in the scores' own unit the gap between the two most striking ones is
    nearly always the widest. Without maps there is no ordinary patch, and the image scores are taken as they are.

    ``tolerance`` 0.1: the share of rejects of a production line is usually known about that well; a batch of 50 at 20 %
    has a standard deviation of 6 % by chance alone. The rule gives no false-alarm rate, since none is known.
    """

    summary: ClassVar[str] = "The widest gap between peaks near the share of defective images that you expect."
    reference: ClassVar[str] = "Otsu, IEEE Transactions on Systems, Man and Cybernetics 1979, within a range."
    needs_batch: ClassVar[bool] = True

    share: float = Field(ge=0, le=1, description="Approximate share of the images that is defective.")
    tolerance: float = Field(
        0.1, ge=0, le=1, description="How much the share that is called defective may differ from it."
    )
    cut: Literal["gap", "otsu"] = Field(
        "gap", description="gap: in the widest gap between neighbours; otsu: the highest variance between both sides."
    )

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images."""
        rising = informative_peaks(evidence)
        if len(rising) < 2 or rising[0] == rising[-1]:
            return call_none(evidence, remarks=["The images do not differ, so none is called defective."])
        cut = self._cut(self._heights(rising, evidence), len(evidence))
        if cut == len(rising):
            return call_none(evidence)
        below = rising[cut - 1] if cut else np.nextafter(np.float32(rising[0]), np.float32(-np.inf))
        region = between(float(below), float(rising[cut]))
        return Verdicts(
            evidence, region, self.reach(evidence.maps, region), remarks=self._remarks(len(rising) - cut, len(evidence))
        )

    def _heights(self, rising: np.ndarray, evidence: Evidence) -> np.ndarray:
        """The heights between which gaps are measured: logarithms where there are maps; float64 ``[image]``."""
        return log_heights(rising, ordinary_value(evidence)) if evidence.localises else rising

    def _cut(self, heights: np.ndarray, images: int) -> int:
        """How many of the peaks lie below the threshold, 0 to all."""
        count = len(heights)
        cuts = np.array([0, *(np.flatnonzero(np.diff(heights) > 0) + 1), count])
        off = np.abs((count - cuts) / images - self.share)
        allowed = cuts[off <= max(self.tolerance, off.min()) + ROUNDING]
        worth = self._worth(heights)
        return int(max(allowed, key=lambda cut: worth[cut]))

    def _worth(self, heights: np.ndarray) -> np.ndarray:
        """Quality of a cut above so many images, float64 ``[image + 1]``; 0 below and above all of them."""
        worth = np.zeros(len(heights) + 1)
        if self.cut == "gap":
            worth[1:-1] = np.diff(heights)
            return worth
        below = np.arange(1, len(heights))
        above = len(heights) - below
        sums = np.cumsum(heights)[:-1]
        worth[1:-1] = below * above * (sums / below - (heights.sum() - sums) / above) ** 2
        return worth

    def _remarks(self, called: int, images: int) -> list[str]:
        """A remark if no cut is near enough to the share."""
        if abs(called / images - self.share) <= self.tolerance + ROUNDING:
            return []
        return [
            f"No cut between two peaks is near the expected share, so {called} of {images} images are called defective."
        ]
