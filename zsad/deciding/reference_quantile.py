"""Reference quantile: what is odder than nearly all of the good reference images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts


class ReferenceQuantile(ThresholdRule):
    """Quantiles of the scores that good reference images get when they are no references.

    Each reference is scored by a fit to others (leave-one-out, or in five folds), so that it does not find itself. The
    threshold is the ``quantile`` of the highest values of their maps, linearly interpolated, times ``factor``. With few
    references the quantile is about their greatest, and a fit that lacks some of them scores somewhat higher than the
    whole: both err towards calling images good.
    """

    summary: ClassVar[str] = "Quantile of the scores of the reference images, each scored without itself."
    reference: ClassVar[str] = (
        "Percentile of held-out good images, as in anomalib and patch-feature baselines; SuperADD "
        "(arXiv 2605.14808) takes 0.95 and a factor of 1.421."
    )
    needs_references: ClassVar[bool] = True

    quantile: float = Field(0.995, gt=0, le=1, description="Share of good patches, and of good images, at or below it.")
    factor: float = Field(1.0, gt=0, description="By which the quantiles are multiplied.")

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images, from the peaks of the references."""
        region = self._quantile(evidence.reference_peaks)
        return Verdicts(evidence, region, self.reach(evidence.reference_maps, region))

    def _quantile(self, values: np.ndarray) -> float:
        return float(self.factor * np.quantile(values, self.quantile))
