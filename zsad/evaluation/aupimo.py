"""AUPIMO: the area under each anomalous image's recall, over the false-positive rate of normal images.

Bertoldo, Ameln, Vaidya, Akçay, "AUPIMO: Redefining Anomaly Localization Benchmarks with High Speed and Low Tolerance",
BMVC 2024, arXiv:2401.01984, section 3. The shared false-positive rate is the mean over the normal images of the share
of their pixels that a threshold calls defective; the recall is that of one anomalous image. The area is taken over the
logarithm of the rate, from 1e-5 to 1e-4, and divided by log 10, so that 1 is perfect.

There are two definitions by name, `AUPIMO`:

``steps``: at a rate ``z`` the threshold is the lowest whose false-positive rate does not exceed ``z``. So the curve has
    a step at every distinct score of normal pixels, as the paper defines it.

``interpolated``: as in the authors' code (github.com/jpcbertoldo/aupimo, and anomalib): 300 000 thresholds are evenly
    spaced between the least and the greatest score of normal images, and what is at or above one counts; trapezoids go
    from the threshold whose rate is nearest to 1e-4 to that nearest to 1e-5. Where 30 thresholds or fewer lie between,
    or the highest one already exceeds 1e-5, the authors' code raises an error, and here the metric is not known.

The two differ by half a step or so: by about 0.5 points where we measured it (docs/metrics.md).

Only the highest pixels of normal images matter, which are few: they alone are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np

LEAST_RATE, GREATEST_RATE = 1e-5, 1e-4
WIDTH = np.log(GREATEST_RATE / LEAST_RATE)
KEPT_RATE = 10 * GREATEST_RATE  # beyond the greatest, for replicates in which the rates are lower
BINS = 512
THRESHOLDS = 300_000  # of the authors' code; the numbers that must, and should, lie between the bounds
FEWEST, FEW = 30, 300


class PimoBins(NamedTuple):
    """What each image adds to AUPIMO, at a few thresholds in descending order.

    Attributes:
        rates: ``[normal image, threshold]``, share of the image above the threshold.
        recalls: ``[anomalous image, threshold]``, share of the image's defective pixels above it.
        interpolated: whether the curve is straight between two thresholds; else the recall is that of the higher one.
    """

    rates: np.ndarray
    recalls: np.ndarray
    interpolated: bool = False


class NormalTail:
    """The highest pixels of the normal images; equal pixels of an image are stored once, with their number.

    Args:
        good_images: how many there are.

    Attributes:
        least, greatest: scores of the normal images.
    """

    def __init__(self, good_images: int) -> None:
        self._good_images = good_images
        self._seen = 0
        self._scores = np.zeros(0, np.float32)
        self._shares = np.zeros(0)
        self._image = np.zeros(0, np.int64)
        self.least, self.greatest = np.float32(np.inf), np.float32(-np.inf)

    def add(self, scores: np.ndarray) -> None:
        """Add an image's pixels, float32 ``[pixel]``."""
        self.least, self.greatest = min(self.least, scores.min()), max(self.greatest, scores.max())
        high = scores[scores >= self._floor(scores)]
        values, counts = np.unique(high, return_counts=True)
        self._scores = np.concatenate([self._scores, values])
        self._shares = np.concatenate([self._shares, counts / scores.size])
        self._image = np.concatenate([self._image, np.full(values.size, self._seen)])
        self._seen += 1
        self._drop_what_is_never_reached()

    def _floor(self, scores: np.ndarray) -> np.float32:
        """The least score worth keeping: the pixels held so far, and the image alone, already exceed the kept rate."""
        most = int(np.ceil(KEPT_RATE * self._good_images * scores.size))
        held = self._scores[-1] if self._is_full else np.float32(-np.inf)
        if most >= scores.size or self._is_full:
            return held
        floor: np.float32 = np.partition(scores, scores.size - most)[scores.size - most]
        return floor

    @property
    def _is_full(self) -> bool:
        return bool(self._shares.sum() > KEPT_RATE * self._good_images)

    def _drop_what_is_never_reached(self) -> None:
        order = np.argsort(-self._scores, kind="stable")
        reached = np.cumsum(self._shares[order]) / self._good_images
        kept = np.searchsorted(reached, KEPT_RATE, side="right") + 1
        if kept < order.size:
            kept = np.searchsorted(-self._scores[order], -self._scores[order[kept - 1]], side="right")
        order = order[:kept]
        self._scores, self._shares, self._image = self._scores[order], self._shares[order], self._image[order]

    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """The distinct scores in descending order, and the shared false-positive rate at or above each."""
        last = np.flatnonzero(np.diff(self._scores, append=np.float32(-np.inf)) != 0)
        return self._scores[last], np.cumsum(self._shares)[last] / self._good_images

    def rates_above(self, thresholds: np.ndarray) -> np.ndarray:
        """``[normal image, threshold]``, share of each image above thresholds in descending order."""
        return self._rates(thresholds, "right")

    def rates_from(self, thresholds: np.ndarray) -> np.ndarray:
        """The same at or above each threshold."""
        return self._rates(thresholds, "left")

    def _rates(self, thresholds: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
        rates = np.zeros((self._good_images, thresholds.size + 1))
        np.add.at(rates, (self._image, np.searchsorted(-thresholds, -self._scores, side=side)), self._shares)
        return np.cumsum(rates, axis=1)[:, :-1] if thresholds.size else rates[:, :0]


class Pimo:
    """AUPIMO of anomalous images by steps, once all normal ones have been added.

    Args:
        tail: of one normal image or more.

    Attributes:
        thresholds: thresholds in descending order, for bootstrap replicates.
        remark: a sentence about a problem with the values; or empty.
    """

    interpolated = False
    remark = ""

    def __init__(self, tail: NormalTail) -> None:
        scores, rates = tail.steps()
        # Between the rate of one step and that of the next, pixels above the next step's score are called defective.
        widths = np.diff(np.log(np.clip(np.concatenate([[0.0], rates]), LEAST_RATE, GREATEST_RATE)))
        self._ascending = scores[::-1]
        self._gained = np.concatenate([[0.0], np.cumsum(widths[::-1])])
        self._tail = tail
        self.thresholds = _spread(scores, rates)

    def of(self, defective_scores: np.ndarray) -> float:
        """AUPIMO of an image, from its defective pixels' scores, float32 ``[pixel]``, one or more.

        Each pixel adds the share of the rates at which it is found.
        """
        below = np.searchsorted(self._ascending, defective_scores, side="left")
        return float(self._gained[below].mean() / WIDTH)

    def recalls(self, defective_scores: np.ndarray) -> np.ndarray:
        """``[threshold]``, share of an image's defective pixels above each of ``thresholds``."""
        ordered = np.sort(defective_scores)
        return 1.0 - np.searchsorted(ordered, self.thresholds, side="right") / ordered.size

    def rates(self) -> np.ndarray:
        """``[normal image, threshold]``, share of each normal image above each of ``thresholds``."""
        return self._tail.rates_above(self.thresholds)


class InterpolatedPimo:
    """The same as by the authors' code, see the module; arguments and attributes as of `Pimo`."""

    interpolated = True

    def __init__(self, tail: NormalTail) -> None:
        self._tail = tail
        scores, rates = tail.steps()
        thresholds = np.linspace(float(tail.least), float(tail.greatest), THRESHOLDS, dtype=np.float32)
        # Scores below all kept ones have a rate beyond the bounds.
        thresholds = thresholds[np.searchsorted(thresholds, scores[-1]) :]
        of_thresholds = rates[np.searchsorted(-scores, -thresholds, side="right") - 1]
        first, last = (int(np.argmin(np.abs(of_thresholds - rate))) for rate in (GREATEST_RATE, LEAST_RATE))
        count = last - first + 1
        self._is_known = bool(of_thresholds[-1] <= LEAST_RATE) and count > FEWEST
        self.remark = self._remark(count, float(of_thresholds[-1]))
        self._inside = thresholds[first : last + 1]
        widths = -np.diff(np.log(of_thresholds[first : last + 1]))
        # Trapezoids: each threshold has half of the width to either side of it.
        weights = (np.append(widths, 0.0) + np.append(0.0, widths)) / 2 if count > 0 else widths
        self._gained = np.append(0.0, np.cumsum(weights))
        self.thresholds = _spread(thresholds[::-1], of_thresholds[::-1])

    def _remark(self, count: int, lowest: float) -> str:
        if lowest > LEAST_RATE:
            return (
                f"AUPIMO is not known: its authors' code needs a threshold at which {LEAST_RATE:g} of the pixels of "
                f"normal images are marked, and their highest score marks {lowest:.2g}."
            )
        if count <= FEWEST:
            return (
                f"AUPIMO is not known: {max(0, count)} of the {THRESHOLDS} thresholds of its authors' code lie between "
                f"the rates that count, and at least {FEWEST + 1} are needed."
            )
        if count < FEW:
            return f"AUPIMO may be inaccurate: only {count} of the {THRESHOLDS} thresholds of its authors' code count."
        return ""

    def of(self, defective_scores: np.ndarray) -> float:
        """AUPIMO of an image, as of `Pimo.of`; NaN where it is not known."""
        if not self._is_known:
            return np.nan
        reached = np.searchsorted(self._inside, defective_scores, side="right")
        return float(np.clip(self._gained[reached].mean() / WIDTH, 0.0, 1.0))

    def recalls(self, defective_scores: np.ndarray) -> np.ndarray:
        """``[threshold]``, share of an image's defective pixels at or above each of ``thresholds``."""
        ordered = np.sort(defective_scores)
        return 1.0 - np.searchsorted(ordered, self.thresholds, side="left") / ordered.size

    def rates(self) -> np.ndarray:
        """``[normal image, threshold]``, share of each normal image at or above each of ``thresholds``."""
        return self._tail.rates_from(self.thresholds)


STEPS: Final = "steps"
AUPIMO: MappingProxyType[str, Callable[[NormalTail], Pimo | InterpolatedPimo]] = MappingProxyType(
    {STEPS: Pimo, "interpolated": InterpolatedPimo}
)
"""Definitions by their names."""


def binned_aupimo(bins: PimoBins, good: np.ndarray, anomalous: np.ndarray) -> np.ndarray:
    """Mean AUPIMO ``[replicate]`` of weighted images.

    Args:
        good: ``[replicate, normal image]``, how often each is sampled.
        anomalous: ``[replicate, anomalous image]``, likewise.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = good @ bins.rates / good.sum(axis=1, keepdims=True)
        recalls = anomalous @ bins.recalls / anomalous.sum(axis=1, keepdims=True)
    if bins.interpolated:
        return np.array([_area_between(*curve) for curve in zip(rates, recalls, strict=True)])
    replicates = len(rates)
    edges = np.concatenate(
        [np.full((replicates, 1), LEAST_RATE), rates, np.full((replicates, 1), GREATEST_RATE)], axis=1
    )
    widths = np.diff(np.log(np.clip(edges, LEAST_RATE, GREATEST_RATE)), axis=1)
    heights = np.concatenate([recalls[:, :1], recalls], axis=1)
    areas: np.ndarray = (widths * heights).sum(axis=1) / WIDTH
    return areas


def _area_between(rates: np.ndarray, recalls: np.ndarray) -> float:
    """Trapezoids between the bounds, where the curve is interpolated, or level beyond its ends."""
    some = rates > 0
    places, heights = np.log(rates[some]), recalls[some]
    if not places.size:
        return np.nan
    bounds = np.log([LEAST_RATE, GREATEST_RATE])
    low, high = np.interp(bounds, places, heights)
    inside = (places > bounds[0]) & (places < bounds[1])
    x, y = np.concatenate([bounds[:1], places[inside], bounds[1:]]), np.concatenate([[low], heights[inside], [high]])
    return float(np.clip(np.trapezoid(y, x) / WIDTH, 0.0, 1.0))


def _spread(scores: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Scores in descending order whose rates are spread evenly over the logarithm, around the range that counts."""
    wanted = np.geomspace(LEAST_RATE / 10, KEPT_RATE, BINS)
    spread: np.ndarray = scores[np.unique(np.minimum(np.searchsorted(rates, wanted), scores.size - 1))]
    return spread
