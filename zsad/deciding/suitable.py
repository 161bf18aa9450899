"""Suitable: the rule that suits what is there to decide by."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.a_contrario import AContrario
from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import ENOUGH
from zsad.deciding.conformal import Conformal
from zsad.deciding.peaks_over_threshold import PeaksOverThreshold

OF_OTHERS, OF_BATCHES = 0.1, 0.05  # shares of false alarms
BATCH = "zero-shot-batch"  # setting of methods that compare images of a batch


class Suitable(ThresholdRule):
    """The rule that suits the evidence, of those that aim at a share of false alarms.

    - Where two or more references were scored: `conformal`, which holds the share whatever the scores are like.
    - Else, from eight images on: `peaks_over_threshold` with an exponential tail, by what most patches of the batch are
      like.
    - Fewer images: `a_contrario`, by each image's own patches.

    The rules for batches and the shares were chosen among all by ``benchmarks/decisions.py``, on images that no result
    is reported on: a method that compares the images of a batch with each other calls more good ones defective than
    the share says, so that it gets half of it.
    """

    summary: ClassVar[str] = (
        "What suits: `conformal` with two or more references, else `peaks_over_threshold`, or `a_contrario` for fewer "
        "than eight images."
    )
    reference: ClassVar[str] = "The choice of benchmarks/decisions.py, by a rule that was fixed beforehand."

    alpha: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of good images that may be called defective; null for 0.1, and for 0.05 by methods that "
        "compare the images of a batch.",
    )

    def decide(self, evidence: Evidence) -> Verdicts:
        """What the rule says that suits."""
        return self.chosen(evidence).decide(evidence)

    def chosen(self, evidence: Evidence) -> ThresholdRule:
        """The rule that suits."""
        alpha = self.alpha or (OF_BATCHES if evidence.setting == BATCH else OF_OTHERS)
        if len(evidence.reference_peaks) > 1:
            return Conformal(alpha=alpha, extent=self.extent)
        if len(evidence) >= ENOUGH or not evidence.localises:
            return PeaksOverThreshold(alpha=alpha, shape="exponential", extent=self.extent)
        return AContrario(false_alarms=float(-np.log1p(-alpha)), extent=self.extent)
