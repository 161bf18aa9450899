"""Reference quantile: images more anomalous than nearly all of the normal reference images are defective."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ReferenceRule, Verdicts, median_patch, percentage
from zsad.maps import informative_maps

CLOSE = 1.5  # times the rate of the quantile: beyond it, a remark says so


class ReferenceQuantile(ReferenceRule):
    """A quantile of the peaks of the references, each scored without itself.

    Each reference is scored by a fit to others (leave-one-out, or in five folds), so that it does not find itself. The
    threshold is the ``quantile`` of the highest values of their maps, linearly interpolated; ``factor`` moves it
    further away from the median patch of the references. (Published factors multiply the quantile itself. Scores have
    no common zero, though, and some are negative.)

    The quantile of few references is about their greatest, and a normal image is as likely to have the highest peak as
    any of them: of K references the nominal false-alarm rate is ``(K - (K - 1) quantile) / (K + 1)``, interpolated
    between the rates of the two references that the quantile lies between. A fit that lacks some references scores
    somewhat higher than the whole, so that the rule rather calls images normal.
    """

    summary: ClassVar[str] = "Quantile of the scores of the reference images, each scored without itself."
    reference: ClassVar[str] = (
        "Percentile of held-out normal images, as in anomalib and patch-feature baselines; SuperADD (arXiv 2605.14808) "
        "takes 0.95 and a factor."
    )

    quantile: float = Field(0.995, gt=0, le=1, description="Share of normal images that are called normal.")
    factor: float = Field(1.0, gt=0, description="Factor of the distance between the threshold and the median patch.")

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images, from the peaks of the references."""
        ordered = self.ordered_references(evidence)
        region = float(np.quantile(ordered, self.quantile))
        if self.factor != 1:
            ordinary = median_patch(informative_maps(evidence.reference_maps) or [ordered])
            region = ordinary + self.factor * (region - ordinary)
        nominal = self._nominal(len(ordered))
        return Verdicts(
            evidence,
            region,
            self.reach(evidence.reference_maps, region),
            nominal=nominal,
            remarks=self._remarks(nominal, len(ordered)),
        )

    def _nominal(self, references: int) -> float:
        """The share of normal images that exceed the quantile; not known with a factor."""
        return (references - (references - 1) * self.quantile) / (references + 1) if self.factor == 1 else math.nan

    def _remarks(self, nominal: float, references: int) -> list[str]:
        """A remark if the references are too few for the quantile."""
        if math.isnan(nominal) or nominal <= CLOSE * (1 - self.quantile):
            return []
        return [
            f"The quantile lies among the highest of {references} references, so that about {percentage(nominal)} of "
            f"normal images exceed it, not {percentage(1 - self.quantile)}."
        ]
