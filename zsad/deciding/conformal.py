"""Conformal: how many of the good references are at least as odd."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts


class Conformal(ThresholdRule):
    """Conformal p-values of the images' peaks against those of the references."""

    summary: ClassVar[str] = "A p-value from the references, each scored without itself."
    reference: ClassVar[str] = (
        "Conformal p-values: Vovk et al. 2005; outliers: Bates et al., Annals of Statistics 2023."
    )
    needs_references: ClassVar[bool] = True

    alpha: float = Field(0.1, gt=0, lt=1, description="Share of good images that may be called defective.")

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images: an order statistic of the references' peaks."""
        ordered = np.sort(evidence.reference_peaks)
        count = len(ordered)
        at_least = count - np.searchsorted(ordered, evidence.peaks, side="left")
        allowed = max(int(np.floor(self.alpha * (count + 1) + 1e-9)), 1)
        region = float(ordered[count - allowed])
        return Verdicts(
            evidence,
            region,
            self.reach(evidence.reference_maps, region),
            significance=(1 + at_least) / (count + 1),
            measure="p_value",
            nominal=allowed / (count + 1),
        )
