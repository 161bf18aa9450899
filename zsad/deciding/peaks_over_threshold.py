"""Peaks over threshold: how high the tail of normal patches extends in an image."""

from __future__ import annotations

from statistics import NormalDist
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from zsad.deciding.background import LOWER, fit_background
from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import NOTHING_DIFFERS, PRESUMED, call_none, few_images


class PeaksOverThreshold(ThresholdRule):
    """The value that the highest patch of a normal image exceeds with a chance of ``alpha``.

    Which images are normal is unknown, and most may be defective; but defects cover few patches, and at least the share
    ``good`` of the images has none. So the rule takes the values at rank 1, 2, ... of each sorted map, down to the
    share ``top`` of its patches, and at each rank the ``good``-quantile over the images: a low quantile, which
    defective images hardly move. It is a quantile of the values of normal patches at a level that follows from the
    distribution of order statistics, and a generalised Pareto tail is fitted to all of them. It is extrapolated from
    the usual highest patch of a normal image to the value that a share ``alpha`` of them exceeds, which is not far.

    The levels of whole images differ too. With ``spread`` the deviation of these levels is estimated from the images
    below the ``good``-quantile, and the chance is the mean over it.

    A p-value is the chance itself, as approximate as the tail.
    """

    summary: ClassVar[str] = (
        "The value that the highest patch of a normal image exceeds with a small chance, by the tail of the patches."
    )
    reference: ClassVar[str] = (
        "Peaks over threshold: Pickands, Annals of Statistics 1975; the fit to low quantiles of order statistics over "
        "the images, which defects leave alone, is this project's own."
    )
    needs_batch: ClassVar[bool] = True

    alpha: float = Field(0.1, gt=0, lt=1, description="Share of normal images that may be called defective.")
    good: float = Field(0.25, gt=0, le=0.5, description="Share of the images that are normal, at least.")
    top: float = Field(0.1, gt=0, le=0.5, description="Share of an image's patches that the tail is fitted to.")
    shape: Literal["pareto", "exponential"] = Field(
        "pareto",
        description="pareto: the shape of the tail is fitted, also heavy or bounded; exponential: fixed shape.",
    )
    spread: bool = Field(True, description="Whether the levels of whole images may differ.")

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images, with a p-value for each; from image scores for a method without maps."""
        if not evidence.localises:
            region = self._by_image_scores(evidence.image_scores)
            return Verdicts(evidence, region, region, nominal=self.alpha)
        background = fit_background(
            evidence.maps,
            good=self.good,
            presumed=PRESUMED,
            top=self.top,
            curved=self.shape == "pareto",
            spread=self.spread,
        )
        if background is None:
            return call_none(evidence, remarks=[NOTHING_DIFFERS])
        region = background.exceeded_by(self.alpha)
        return Verdicts(
            evidence,
            region,
            self.reach(evidence.maps, region),
            significance=background.chance(evidence.peaks),
            measure="p_value",
            nominal=self.alpha,
            remarks=few_images(evidence),
        )

    def _by_image_scores(self, scores: np.ndarray) -> float:
        """Quantile of a Gaussian distribution, fitted to the lower scores alone."""
        usual, low = np.quantile(scores, (self.good, LOWER * 2 * self.good))
        normal = NormalDist()
        steps = normal.inv_cdf(self.good) - normal.inv_cdf(LOWER * 2 * self.good)
        deviation = (usual - low) / steps
        return float(usual + (normal.inv_cdf(1 - self.alpha) - normal.inv_cdf(self.good)) * deviation)
