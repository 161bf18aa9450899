"""Suitable: choose the rule that fits the available evidence."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.a_contrario import AContrario
from zsad.deciding.base import FEWEST_REFERENCES, Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import ENOUGH
from zsad.deciding.conformal import Conformal
from zsad.deciding.peaks_over_threshold import PeaksOverThreshold
from zsad.deciding.reference_tail import ReferenceTail

OF_OTHERS, OF_TAILS = 0.1, 0.05  # shares of false alarms
MANY_REFERENCES = 50  # with so many, p-values hold a share for nearly every sample of references
BATCH = "zero-shot-batch"  # setting of methods that compare the images of a batch


class Suitable(ThresholdRule):
    """The rule that fits the evidence, among those that aim at a share of false alarms.

    - 50 references or more: `conformal`, which holds the share for any distribution of scores. With fewer, the share
    varies more with
      the sample of references: 0.1 may be 0.02 or 0.23 with 19 of them, 0.04 or 0.18 with 50.
    - Two or more references: `reference_tail`, from their patches; `conformal` for a method without maps.
    - Else, from eight images on: `peaks_over_threshold` with an exponential tail, from most patches of the batch.
    - Fewer images: `a_contrario`, from each image's own patches.

    The rules and the shares were chosen among all by ``benchmarks/decisions.py``, on images that no result is reported
    on: with the tail of references, and with a batch whose images a method compares with each other, more normal images
    are called defective than the share says, so that these get half of it.
    """

    summary: ClassVar[str] = (
        "The rule that fits: `conformal` with 50 references, `reference_tail` with two, else `peaks_over_threshold`, "
        "or `a_contrario` for fewer than eight images."
    )
    reference: ClassVar[str] = "The choice of benchmarks/decisions.py, by a rule that was fixed beforehand."

    alpha: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of normal images that may be called defective; null for 0.1, or 0.05 with `reference_tail` "
        "and with methods that compare the images of a batch.",
    )

    def decide(self, evidence: Evidence) -> Verdicts:
        """The verdicts of the chosen rule."""
        return self.chosen(evidence).decide(evidence)

    def chosen(self, evidence: Evidence) -> ThresholdRule:
        """The rule that fits the evidence."""
        references = len(evidence.reference_peaks)
        if FEWEST_REFERENCES <= references < MANY_REFERENCES and evidence.localises:
            return ReferenceTail(alpha=self.alpha or OF_TAILS, extent=self.extent)
        alpha = self.alpha or (OF_TAILS if evidence.setting == BATCH else OF_OTHERS)
        if references >= FEWEST_REFERENCES:
            return Conformal(alpha=alpha, extent=self.extent)
        if len(evidence) >= ENOUGH or not evidence.localises:
            return PeaksOverThreshold(alpha=alpha, shape="exponential", extent=self.extent)
        return AContrario(false_alarms=float(-np.log1p(-alpha)), extent=self.extent)
