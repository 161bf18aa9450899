"""Share: a given number of the most anomalous images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import between


class Share(ThresholdRule):
    """Call the given share of the images defective: those with the highest peaks.

    For users who can inspect so many images again, whether defective or not. ``share`` times the number of images is
    rounded to the nearest whole number. Images of one and the same peak get one and the same verdict, so that fewer are
    called where the cut would fall among equals. The share of normal images among those called defective is unknown,
    and in a batch without a defect images are called defective as well: the rule gives no false-alarm rate.
    """

    summary: ClassVar[str] = "The given share of the images: those with the highest peaks."
    reference: ClassVar[str] = "None: a ranking and a budget for repeated inspection."
    needs_batch: ClassVar[bool] = True

    share: float = Field(ge=0, le=1, description="Share of the images that are called defective.")

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images, half-way between the last that is called and the first that is not."""
        rising = np.sort(evidence.peaks)
        wanted = int(np.floor(self.share * len(rising) + 0.5))
        good = len(rising) - wanted
        lowest = np.float32(rising[0])
        below = float(np.nextafter(lowest, np.float32(-np.inf))) if good == 0 else float(rising[good - 1])
        region = between(below, float(rising[good])) if wanted else float(rising[-1])
        verdicts = Verdicts(evidence, region, self.reach(evidence.maps, region))
        called = int(verdicts.decided.sum())
        if called == wanted:
            return verdicts
        remark = (
            f"Equal peaks get equal verdicts, so {called} of {len(rising)} images are called defective, not {wanted}."
        )
        return Verdicts(evidence, region, self.reach(evidence.maps, region), remarks=[remark])
