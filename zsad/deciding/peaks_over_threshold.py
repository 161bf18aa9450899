"""Peaks over threshold: how high the tail of good patches reaches in an image."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import NOTHING_DIFFERS, calls_nothing, few_images
from zsad.deciding.tail import Tail, chosen_ranks, exceeded_at, fit_tail, highest_values
from zsad.maps import telling

LOWER = 0.16  # of a normal distribution lies more than one deviation below its mean, about
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(9)  # of a mean over a normal distribution
PRESUMED = 0.1  # share of defective images: the low quantile of all images is a less low one of the good
LEAST_LEVEL = 0.2  # of an image, relative to the others
HALVINGS = 60
DEEP = 0.2  # of the ranks that the tail is fitted to: from there on they tell the level of an image


class _Background(NamedTuple):
    """What good images are like.

    Attributes:
        tail: of the values of their patches.
        ordinary: their median.
        spread: deviation of the level of an image, its height above ``ordinary``, as a share of it.
        patches: of an image.
    """

    tail: Tail
    ordinary: float
    spread: float
    patches: float

    def chance(self, peaks: np.ndarray) -> np.ndarray:
        """That the highest of the patches of a good image exceeds each of ``peaks``; float64 ``[image]``."""
        levels = np.maximum(1 + self.spread * NODES, LEAST_LEVEL)
        above = self.tail.survival(self.ordinary + (peaks[:, None] - self.ordinary) / levels)
        in_image = -np.expm1(self.patches * np.log1p(-np.minimum(above, 1 - 1e-16)))
        chances: np.ndarray = in_image @ WEIGHTS / WEIGHTS.sum()
        return chances


class PeaksOverThreshold(ThresholdRule):
    """The value that the highest of a good image's patches exceeds with a chance of ``alpha``.

    Which images are good is unknown, and most may be defective; but defects cover few patches, and the share ``good``
    of the images at least has none. So the values at rank 1, 2, ... of each sorted map are looked at, down to the
    share ``top`` of its patches, and at each rank the ``good``-quantile over the images is taken: a low one, which
    defective images hardly move. It is a quantile of the values of good patches at a level that follows from the
    distribution of order statistics, and a generalised Pareto tail is fitted to all of them. It is followed from where
    a good image's highest patch lies to where one of a share ``alpha`` does, which is not far.

    Images also differ in their level as wholes. With ``spread`` the deviation of these levels is estimated from the
    images below the ``good``-quantile, and the chance is the mean over it.

    A p-value is the chance itself, as approximate as the tail.
    """

    summary: ClassVar[str] = "What the highest patch of a good image exceeds with a small chance, by the patches' tail."
    reference: ClassVar[str] = (
        "Peaks over threshold: Pickands, Annals of Statistics 1975; the fit to low quantiles of order statistics over "
        "the images, which defects leave alone, is this project's own."
    )
    needs_batch: ClassVar[bool] = True

    alpha: float = Field(0.1, gt=0, lt=1, description="Share of good images that may be called defective.")
    good: float = Field(0.25, gt=0, le=0.5, description="Share of the images that are good, at least.")
    top: float = Field(0.1, gt=0, le=0.5, description="Share of an image's patches that the tail is fitted to.")
    shape: Literal["pareto", "exponential"] = Field(
        "pareto", description="pareto: heavy and bounded tails too, the shape is fitted; exponential: straight."
    )
    spread: bool = Field(True, description="Whether images may differ in their level as wholes.")

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images, with a p-value for each; of a method without maps by its image scores."""
        if not evidence.localises:
            region = self._by_image_scores(evidence.image_scores)
            return Verdicts(evidence, region, region, nominal=self.alpha)
        background = self._background(telling(evidence.maps))
        if background is None:
            return calls_nothing(evidence, nominal=self.alpha, remarks=[NOTHING_DIFFERS])
        region = self._threshold(background)
        return Verdicts(
            evidence,
            region,
            self.reach(evidence.maps, region),
            significance=background.chance(evidence.peaks),
            measure="p_value",
            nominal=self.alpha,
            remarks=few_images(evidence),
        )

    def _background(self, maps: Sequence[np.ndarray]) -> _Background | None:
        """What good images are like; None where nothing tells."""
        if not maps:
            return None
        patches = float(np.median([anomaly_map.size for anomaly_map in maps]))
        ranks = chosen_ranks(patches, self.top)
        values = highest_values(maps, ranks)
        tail = fit_tail(
            exceeded_at(ranks, patches, min(self.good / (1 - PRESUMED), 0.9)),
            np.quantile(values, self.good, axis=0),
            curved=self.shape == "pareto",
        )
        if tail is None:
            return None
        ordinary = float(np.median(np.concatenate([anomaly_map.ravel() for anomaly_map in maps])))
        deep = values[:, ranks >= DEEP * ranks[-1]].mean(axis=1) - ordinary
        return _Background(tail, ordinary, self._level_spread(deep) if self.spread else 0.0, patches)

    def _level_spread(self, levels: np.ndarray) -> float:
        """The deviation of the levels of good images, relative to a usual one, from the lower ones of all."""
        lower = LOWER * 2 * self.good
        usual, low = np.quantile(levels, (self.good, lower))
        steps = NormalDist().inv_cdf(self.good) - NormalDist().inv_cdf(lower)
        return float(max(usual - low, 0.0) / steps / usual) if usual > 0 else 0.0

    def _threshold(self, background: _Background) -> float:
        """Where the chance is ``alpha``, by halving."""
        low = background.ordinary
        high = max(background.tail.quantile(self.alpha / background.patches * 1e-3), low)
        high = low + (high - low) * (1 + 10 * background.spread)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if background.chance(np.array([middle]))[0] > self.alpha:
                low = middle
            else:
                high = middle
        return high

    def _by_image_scores(self, scores: np.ndarray) -> float:
        """A normal distribution's quantile, from the lower scores alone."""
        usual, low = np.quantile(scores, (self.good, LOWER * 2 * self.good))
        normal = NormalDist()
        steps = normal.inv_cdf(self.good) - normal.inv_cdf(LOWER * 2 * self.good)
        deviation = (usual - low) / steps
        return float(usual + (normal.inv_cdf(1 - self.alpha) - normal.inv_cdf(self.good)) * deviation)
