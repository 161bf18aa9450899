"""Sub-sample maxima: how the highest of a few patches grows with their number, extrapolated to a whole image."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import NOTHING_DIFFERS, PRESUMED, call_none, few_images
from zsad.deciding.tail import fit_tail
from zsad.maps import informative_maps

SIZES = 16  # of sub-samples, evenly spaced as logarithms up to whole images
LEVEL = 0.1  # of the patches from the top: their mean is the level of an image
SKEW = 2.0  # how much farther the levels of normal images extend upwards than downwards
HALVINGS = 60


class SubsampleMaxima(ThresholdRule):
    """The highest value of a normal image, extrapolated from the highest of ``m`` of its patches for growing ``m``.

    The chance that ``m`` patches of a random image, sampled without replacement, all lie below a value is known
    exactly, so that no random numbers are needed: the mean over the images of ``C(k, m) / C(n, m)``, with ``k`` of an
    image's ``n`` patches below. The value at which it is ``quantile`` is that quantile of the maxima, over images and
    samples. A few patches of a defective image rarely hit the defect; many do, but then the low quantile is that of
    normal images, and no defects change it as long as a share ``quantile`` of the images is normal.

    It is also the quantile ``q ** (1 / m)`` of a normal patch (``q`` a little higher, since a tenth of the images is
    presumed defective), so that growing ``m`` follows the tail. A generalised Pareto tail through all of them leads
    from the quantile of whole images to the value that a share ``alpha`` of normal images exceeds. The levels of images
    differ too, the mean of the highest tenth of their patches: the deviation is estimated below ``quantile`` alone, as
    if they were normal, doubled since levels are skewed, and the two distances are added in squares.

    ``quantile`` 0.25, not the median, since most images may be defective. ``smallest`` 0.01: a tenth of the patches in
    the tail at least, as that tail is none of a normal distribution's middle. With 80 % defective images the level of
    the less defective ones is taken for that of normal images, and few images are called defective.
    """

    summary: ClassVar[str] = (
        "The highest of more and more patches, at a low quantile of the images, extrapolated to a whole image."
    )
    reference: ClassVar[str] = (
        "Block maxima: Fisher and Tippett 1928; maxima of all sub-samples as U-statistics: Hoeffding 1948. The low "
        "quantile of images and samples, which defects do not affect, is this project's own."
    )
    needs_batch: ClassVar[bool] = True

    alpha: float = Field(0.1, gt=0, lt=1, description="Share of normal images that may be called defective.")
    quantile: float = Field(0.25, gt=0, le=0.5, description="Share of the images that are normal, at least.")
    smallest: float = Field(0.01, gt=0, lt=1, description="Share of an image's patches in the smallest sub-sample.")
    shape: Literal["pareto", "exponential"] = Field(
        "pareto",
        description="pareto: the shape of the tail is fitted, also heavy or bounded; exponential: fixed shape.",
    )

    @property
    def needs_maps(self) -> bool:
        """True: the rule samples patches."""
        return True

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images."""
        maps = [np.sort(anomaly_map.ravel()).astype(np.float64) for anomaly_map in informative_maps(evidence.maps)]
        region = self._threshold(maps)
        if region is None:
            return call_none(evidence, nominal=self.alpha, remarks=[NOTHING_DIFFERS])
        pixel = self.reach(evidence.maps, region)
        return Verdicts(evidence, region, pixel, nominal=self.alpha, remarks=few_images(evidence))

    def _threshold(self, maps: Sequence[np.ndarray]) -> float | None:
        """The value that a normal image rarely exceeds, from sorted patches; None if all patches are equal."""
        if not maps:
            return None
        patches = float(np.median([len(values) for values in maps]))
        drawn = np.unique(np.maximum(np.rint(np.geomspace(self.smallest, 1, SIZES) * patches), 1))
        exceeded = -np.expm1(np.log(self.quantile / (1 - PRESUMED)) / drawn)
        highest = quantiles_of_maxima(maps, drawn / patches, self.quantile)
        tail = fit_tail(exceeded[::-1], highest[::-1], curved=self.shape == "pareto")
        if tail is None:
            return None
        usual, rare = (tail.quantile(share) for share in (exceeded[-1], -np.expm1(np.log1p(-self.alpha) / patches)))
        return float(usual + np.hypot(max(rare - usual, 0.0), SKEW * self._levels_apart(maps)))

    def _levels_apart(self, maps: Sequence[np.ndarray]) -> float:
        """Distance between the level of a usual image and the level that a share ``alpha`` of images exceeds."""
        levels = [values[int((1 - LEVEL) * len(values)) :].mean() for values in maps]
        lower = self.quantile / 3
        low, usual = np.quantile(levels, (lower, self.quantile))
        normal = NormalDist().inv_cdf
        steps = max(normal(1 - self.alpha) - normal(self.quantile), 0.0)
        return float((usual - low) / (normal(self.quantile) - normal(lower)) * steps)


def quantiles_of_maxima(maps: Sequence[np.ndarray], shares: np.ndarray, quantile: float) -> np.ndarray:
    """Quantile, over images and samples, of the highest of the patches sampled from an image; by bisection.

    Args:
        maps: rising values of the patches of each image.
        shares: of an image's patches that are sampled, ``[size]``; at least one is.

    Returns:
        float64 ``[size]``.
    """
    from scipy.special import gammaln  # slow to import, and only some rules need it

    sizes = np.array([len(values) for values in maps])[:, None]
    drawn = np.maximum(np.rint(shares * sizes), 1)
    all_draws = gammaln(sizes + 1) - gammaln(sizes - drawn + 1)
    high = np.full(len(shares), max(values[-1] for values in maps))
    low = np.full(len(shares), min(values[0] for values in maps)) - (high - min(values[0] for values in maps))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = np.stack([np.searchsorted(values, middle, side="right") for values in maps])
        draws = gammaln(below + 1) - gammaln(np.maximum(below - drawn, 0) + 1)
        chance = np.where(below >= drawn, np.exp(draws - all_draws), 0.0).mean(axis=0)
        low, high = np.where(chance < quantile, middle, low), np.where(chance < quantile, high, middle)
    return high
