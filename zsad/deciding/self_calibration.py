"""Self-calibration: the highest values of images composed of patches that are certainly normal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import NOTHING_DIFFERS, call_none, few_images
from zsad.deciding.tail import RANKS, Tail, crossing, fit_tail
from zsad.maps import informative_maps

KINDS = 16  # levels, and spreads, of resampled images
LEAST_SPREAD = 0.1  # of a resampled image, relative to the usual one
SYMMETRIC = 0.05  # skewness up to which values pass for symmetric; a normal distribution has 0, an exponential 0.47


class _NormalPatches(NamedTuple):
    """Model of resampled images; values are heights above the median patch of their image.

    Attributes:
        depths: how far patches lie below the median, rising; float64 ``[patch]``.
        total: number of all patches, also those above the median.
        tail: of the patches above the median.
        levels: medians of resampled images, float64 ``[kind]``.
        spreads: by which the heights of an image are multiplied, float64 ``[kind]``.
        patches: of an image.
    """

    depths: np.ndarray
    total: int
    tail: Tail
    levels: np.ndarray
    spreads: np.ndarray
    patches: float

    def chance(self, peak: float) -> float:
        """Chance that the highest patch of a resampled image exceeds a value: the mean over levels and spreads."""
        heights = (peak - self.levels[:, None]) / self.spreads
        mirrored = (len(self.depths) - np.searchsorted(self.depths, heights, side="left")) / self.total
        exceeded = np.minimum(np.maximum(self.tail.survival(heights), mirrored), 1 - 1e-16)
        return float(-np.expm1(self.patches * np.log1p(-exceeded)).mean())


class SelfCalibration(ThresholdRule):
    """The value that a share ``alpha`` of images exceeds if they are composed of patches that are certainly normal.

    The patches below the median of their image are normal as long as defects cover less than half of it. The values
    above the median are not used as they are, but modelled from those below and from the patches between the median and
    the quantile ``trusted`` in the median image: a patch exceeds a height above the median with the chance to lie as
    far below it (mirrored, exact for symmetric values with whatever tail), or with that of a generalised Pareto tail
    fitted between the median and ``trusted`` (for values that are bounded below and skewed, as distances are),
    whichever is larger. An image is as many such patches as the images have. Its level and its spread vary as those of
    the images do that are below the median in them, mirrored. The chance that its highest patch exceeds a value is
    computed, without random numbers, and is the p-value of an image.

    A tail that looks lighter than an exponential one between the median and ``trusted`` is that of symmetric values, or
    the beginning of an exponential one, as of gamma values: of skewed values an exponential one is taken, and fewer
    normal images than ``alpha`` are called if they are in between.

    ``trusted`` is 0.9 because the shape of a tail needs as much: up to 0.8, exponential values gave twice the share of
    false alarms. A defect that covers more than a tenth of its image affects the trusted patches: where more than half
    of the images have such defects, none is called defective. Resampled patches are independent of each other, those of
    photographs are not, and what is unusual in normal images too, at one place or in some of them, looks defective.
    """

    summary: ClassVar[str] = "The value that images resampled from certainly normal patches rarely exceed."
    reference: ClassVar[str] = (
        "Bootstrap: Efron, Annals of Statistics 1979; smoothed in the tail as by peaks over threshold (Pickands 1975). "
        "Mirroring the lower half is this project's own."
    )
    needs_batch: ClassVar[bool] = True

    alpha: float = Field(0.1, gt=0, lt=1, description="Share of normal images that may be called defective.")
    trusted: float = Field(
        0.9, gt=0.5, lt=1, description="Share of the patches, from below, that are normal in most of the images."
    )
    shape: Literal["pareto", "exponential"] = Field(
        "pareto",
        description="pareto: the shape of the tail is fitted, also heavy or bounded; exponential: fixed shape.",
    )

    @property
    def needs_maps(self) -> bool:
        """True: the rule resamples patches."""
        return True

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images, with a p-value for each."""
        good = self._normal_patches(informative_maps(evidence.maps))
        if good is None:
            return call_none(evidence, nominal=self.alpha, remarks=[NOTHING_DIFFERS])
        region = self._threshold(good)
        return Verdicts(
            evidence,
            region,
            self.reach(evidence.maps, region),
            significance=np.array([good.chance(peak) for peak in evidence.peaks]),
            measure="p_value",
            nominal=self.alpha,
            remarks=few_images(evidence),
        )

    def _normal_patches(self, maps: Sequence[np.ndarray]) -> _NormalPatches | None:
        """The patches that normal images consist of; None if all patches are equal."""
        if not maps:
            return None
        medians = np.array([np.median(anomaly_map) for anomaly_map in maps], dtype=np.float64)
        centred = [np.sort(one.ravel()) - median for one, median in zip(maps, medians, strict=True)]
        exceeded = np.geomspace(1 - self.trusted, 0.5, RANKS)
        heights = np.stack([np.quantile(values, 1 - exceeded) for values in centred])
        skewed = _skewness(centred, 1 - self.trusted) > SYMMETRIC
        tail = self._tail(exceeded, np.median(heights, axis=0), skewed=skewed)
        if tail is None:
            return None
        levels, spreads = _mirrored(medians), _mirrored(heights[:, 0])
        usual = np.median(heights[:, 0])
        return _NormalPatches(
            depths=np.sort(np.concatenate([-values[values < 0] for values in centred])),
            total=sum(len(values) for values in centred),
            tail=tail,
            levels=levels,
            spreads=np.maximum(spreads / usual, LEAST_SPREAD),
            patches=float(np.median([len(values) for values in centred])),
        )

    def _tail(self, exceeded: np.ndarray, heights: np.ndarray, *, skewed: bool) -> Tail | None:
        """The tail above the median; for skewed values never lighter than an exponential one."""
        tail = fit_tail(exceeded, heights, curved=self.shape == "pareto")
        return fit_tail(exceeded, heights, curved=False) if tail is not None and skewed and tail.shape < 0 else tail

    def _threshold(self, good: _NormalPatches) -> float:
        """The value whose chance is ``alpha``, by bisection."""
        low = float(good.levels.min())
        step = good.tail.scale
        while good.chance(low + step) > self.alpha:
            step *= 2
        return crossing(lambda value: good.chance(value) > self.alpha, low, low + step)


def _skewness(centred: Sequence[np.ndarray], share: float) -> float:
    """Kelly's: how much farther a quantile lies above the median than its counterpart below; -1 to 1, of all images."""
    low, high = np.median([np.quantile(values, (share, 1 - share)) for values in centred], axis=0)
    return float((high + low) / (high - low)) if high > low else 0.0


def _mirrored(values: np.ndarray) -> np.ndarray:
    """Evenly spaced quantiles of a distribution whose lower half is that of given values; float64 ``[kind]``."""
    lower = np.quantile(values, (np.arange(KINDS // 2) + 0.5) / KINDS)
    mirrored: np.ndarray = np.concatenate([lower, 2 * np.median(values) - lower])
    return mirrored
