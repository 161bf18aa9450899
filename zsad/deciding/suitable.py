"""Suitable: the rule that suits what is there to decide by."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.a_contrario import AContrario
from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.conformal import Conformal
from zsad.deciding.peaks_over_threshold import PeaksOverThreshold

LEAST_BATCH = 8  # images, from which on they tell what good ones are like


class Suitable(ThresholdRule):
    """The rule that suits the evidence, of those that hold a share of false alarms, with one and the same share.

    - Where two or more references were scored: `conformal`, which holds it whatever the scores are like.
    - Else, from eight images on: `peaks_over_threshold`, by what most patches of the batch are like.
    - Fewer images: `a_contrario`, by each image's own patches.

    The three were compared with the others by ``benchmarks/decisions.py``, on images that no result is reported on.
    """

    summary: ClassVar[str] = (
        "What suits: `conformal` with two or more references, else `peaks_over_threshold`, or `a_contrario` for fewer "
        "than eight images."
    )
    reference: ClassVar[str] = "The choice of benchmarks/decisions.py, by a rule that was fixed beforehand."

    alpha: float = Field(0.1, gt=0, lt=1, description="Share of good images that may be called defective.")

    def decide(self, evidence: Evidence) -> Verdicts:
        """What the rule says that suits."""
        return self.rule(evidence).decide(evidence)

    def rule(self, evidence: Evidence) -> ThresholdRule:
        """The rule that suits."""
        if len(evidence.reference_peaks) > 1:
            return Conformal(alpha=self.alpha, extent=self.extent)
        if len(evidence) >= LEAST_BATCH or not evidence.localises:
            return PeaksOverThreshold(alpha=self.alpha, shape="exponential", extent=self.extent)
        return AContrario(false_alarms=float(-np.log1p(-self.alpha)), extent=self.extent)
