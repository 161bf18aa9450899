"""Reference quantile: what is odder than nearly all of the good reference images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.scoring.thresholds.base import Evidence, ThresholdRule, Thresholds


class ReferenceQuantile(ThresholdRule):
    """Quantiles of the scores that good reference images get when they are no references.

    Each reference is scored by a fit to others (leave-one-out, or in five folds), so that it does not find itself. The
    threshold for patches is the ``quantile`` of the values of all their maps, that for images the ``quantile`` of their
    image scores, linearly interpolated, both times ``factor``. With few references the image quantile is about their
    greatest score, and a fit that lacks some of them scores somewhat higher than the whole: both err towards calling
    images good.
    """

    summary: ClassVar[str] = "Quantile of the scores of the reference images, each scored without itself."
    reference: ClassVar[str] = (
        "Percentile of held-out good images, as in anomalib and patch-feature baselines; SuperADD "
        "(arXiv 2605.14808) takes 0.95 and a factor of 1.421."
    )
    needs_references: ClassVar[bool] = True

    quantile: float = Field(0.995, gt=0, le=1, description="Share of good patches, and of good images, at or below it.")
    factor: float = Field(1.0, gt=0, description="By which the quantiles are multiplied.")

    def thresholds(self, evidence: Evidence) -> Thresholds:
        """From the references; for patches infinite where there are no maps."""
        image = self._quantile(np.asarray(evidence.reference_scores, dtype=np.float64))
        if not evidence.reference_maps:
            return Thresholds(np.inf, image)
        values = np.concatenate([anomaly_map.ravel() for anomaly_map in evidence.reference_maps]).astype(np.float64)
        return Thresholds(self._quantile(values), image)

    def _quantile(self, values: np.ndarray) -> float:
        return float(self.factor * np.quantile(values, self.quantile))
