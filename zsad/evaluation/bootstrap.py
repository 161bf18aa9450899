"""Confidence limits of every metric by a stratified bootstrap over images.

Images are sampled with replacement, normal and defective ones separately, so that every replicate has as many of each
as the data (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 6: standard error, 13: percentile
interval). Whole images are sampled, since the pixels of an image are not independent.

A bootstrap replicate is a vector of weights over images, so that a metric of a replicate needs only each image's
counts. These are exact for image metrics and for masks. The ranking of pixels needs histograms over common bins, so
that its limits, and only these, are approximate. Pixels are never read again.

Replicates depend on the seed, the name of the category and the labels of its images alone. So two methods are measured
on the same replicates, so that their difference is a paired one, and the replicates of two categories are independent.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from zsad.evaluation.aupimo import PimoBins, binned_aupimo
from zsad.evaluation.aupro import AUPRO, EXACT, aupro
from zsad.evaluation.linear_thresholds import LinearCounts
from zsad.evaluation.mask_counts import mask_metrics
from zsad.evaluation.ranking import Ranking, auroc, average_precision, f1_max, iou_of_f1
from zsad.names import AUPRO_LIMITS, AUSPRO_LIMIT

REPLICATES_AT_ONCE = 100
LOW_PERCENTILE, HIGH_PERCENTILE = 2.5, 97.5

Replicates = dict[str, np.ndarray]


class Interval(NamedTuple):
    """95 % confidence limits of one metric; NaN where it is not known."""

    low: float
    high: float

    @property
    def margin(self) -> float:
        """Half the width."""
        return (self.high - self.low) / 2


UNKNOWN = Interval(np.nan, np.nan)


class ImageHistograms(NamedTuple):
    """What each image adds to the pixel metrics, counted in common bins of descending score.

    Attributes:
        positives: ``[image, bin]``, defective pixels.
        negatives: ``[image, bin]``, normal pixels.
        overlap: ``[image, bin]``, sum over the image's regions of the share of the region in the bin.
        saturated: ``[image, bin]``, likewise of the saturated overlaps; None without saturation areas.
        regions: ``[image]``, number of defective regions.
        defects: ``[image]``, number of defects with a saturation area.
        is_good: bool ``[image]``.
        pimo: of the normal images and those with ``has_pimo``, in order; None if there is not one of each.
        has_pimo: bool ``[image]``.
        aupro: definition of AUPRO, see `zsad.evaluation.aupro.AUPRO`.
        linear: counts for it, if its thresholds are linear.
    """

    positives: np.ndarray
    negatives: np.ndarray
    overlap: np.ndarray
    saturated: np.ndarray | None
    regions: np.ndarray
    defects: np.ndarray
    is_good: np.ndarray
    pimo: PimoBins | None
    has_pimo: np.ndarray
    aupro: str = EXACT
    linear: LinearCounts | None = None

    def of_images(self, chosen: np.ndarray) -> ImageHistograms:
        """Those of the images chosen by a bool ``[image]``."""
        pimo = self.pimo
        if pimo is not None:
            pimo = pimo._replace(rates=pimo.rates[chosen[self.is_good]], recalls=pimo.recalls[chosen[self.has_pimo]])
        return ImageHistograms(
            positives=self.positives[chosen],
            negatives=self.negatives[chosen],
            overlap=self.overlap[chosen],
            saturated=None if self.saturated is None else self.saturated[chosen],
            regions=self.regions[chosen],
            defects=self.defects[chosen],
            is_good=self.is_good[chosen],
            pimo=pimo,
            has_pimo=self.has_pimo[chosen],
            aupro=self.aupro,
            linear=None if self.linear is None else self.linear.of_images(chosen),
        )


class Sampler(NamedTuple):
    """How images are resampled.

    Attributes:
        replicates: number of replicates, 2 or more.
        seed: random seed.
        name: name of the category; replicates of different categories are independent.
    """

    replicates: int
    seed: int
    name: str = ""

    def weights(self, defective: np.ndarray) -> Iterator[np.ndarray]:
        """Yield how often each image is sampled, float64 ``[replicate, image]``, some replicates at a time.

        Args:
            defective: bool ``[image]``; these images are sampled separately from the others.
        """
        return self.stratified([defective, ~defective])

    def stratified(self, strata: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield how often each image is sampled, float64 ``[replicate, image]``, some replicates at a time.

        Args:
            strata: each bool ``[image]``; each stratum is sampled separately, and images in none are never sampled.
        """
        rng = np.random.default_rng([self.seed, zlib.crc32(self.name.encode())])
        for start in range(0, self.replicates, REPLICATES_AT_ONCE):
            weights = np.zeros((min(REPLICATES_AT_ONCE, self.replicates - start), len(strata[0])))
            for stratum in strata:
                size = np.count_nonzero(stratum)
                if size:
                    weights[:, stratum] = rng.multinomial(size, np.full(size, 1.0 / size), size=len(weights))
            yield weights


def image_replicates(scores: np.ndarray, labels: np.ndarray, sampler: Sampler) -> Replicates:
    """The image metrics ``[replicate]`` of every replicate.

    Args:
        scores: ``[image]``, one or more.
        labels: ``[image]``, 1 defective, 0 normal.
    """
    ranking_of = image_rankings(scores, labels)

    def metrics(weights: np.ndarray) -> Replicates:
        ranking = ranking_of(weights)
        return {
            "image_auroc": auroc(ranking),
            "image_ap": average_precision(ranking),
            "image_f1max": f1_max(ranking),
        }

    return compute_replicates(metrics, sampler.weights(np.asarray(labels) == 1))


def image_rankings(scores: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], Ranking]:
    """A function from weights ``[replicate, image]`` to rankings of replicates; arguments as of `image_replicates`."""
    order = np.argsort(-scores, kind="stable")
    first_of_tie = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) != 0]))
    defective = np.asarray(labels)[order] == 1

    def rankings(weights: np.ndarray) -> Ranking:
        ordered = weights[:, order]
        positives = np.add.reduceat(np.where(defective, ordered, 0.0), first_of_tie, axis=1)
        negatives = np.add.reduceat(np.where(defective, 0.0, ordered), first_of_tie, axis=1)
        return binned_ranking(positives, negatives)

    return rankings


def pixel_replicates(histograms: ImageHistograms, sampler: Sampler) -> Replicates:
    """The pixel metrics ``[replicate]`` of every replicate.

    Args:
        histograms: of the images with pixel ground truth; those with regions are sampled separately from those without.
    """
    weights = sampler.weights(histograms.regions > 0)
    return compute_replicates(lambda weights: histogram_metrics(histograms, weights), weights)


def count_replicates(
    metrics: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    counts: np.ndarray,
    defective: np.ndarray,
    sampler: Sampler,
) -> Replicates:
    """Metrics ``[replicate]`` of the counts of images, which are added up in every replicate.

    Args:
        metrics: of counts ``[replicate, count]``.
        counts: ``[image, count]``.
        defective: bool ``[image]``; these images are sampled separately from the others.
    """
    return compute_replicates(lambda weights: dict(metrics(weights @ counts)), sampler.weights(defective))


def mask_replicates(counts: np.ndarray, sampler: Sampler) -> Replicates:
    """The metrics of masks ``[replicate]`` of every replicate.

    Args:
        counts: ``[image, 7]``, see `zsad.evaluation.mask_counts.mask_counts`, of the images with pixel ground truth.
    """
    return count_replicates(mask_metrics, counts, counts[:, 0] + counts[:, 2] > 0, sampler)


def histogram_metrics(histograms: ImageHistograms, weights: np.ndarray) -> Replicates:
    """Pixel metrics ``[replicate]`` of weighted images; all pixels of a bin count as tied.

    Args:
        weights: ``[replicate, image]``, how often each image is sampled.
    """
    ranking = binned_ranking(weights @ histograms.positives, weights @ histograms.negatives)
    overlap = binned_overlap(histograms.overlap, histograms.regions, weights)
    f1 = f1_max(ranking)
    at_thresholds = (ranking, overlap) if histograms.linear is None else histograms.linear.resampled(weights)
    metrics = {
        "pixel_auroc": auroc(ranking),
        "pixel_ap": average_precision(ranking),
        "pixel_f1max": f1,
        "pixel_ioumax": iou_of_f1(f1),
        **{name: AUPRO[histograms.aupro](*at_thresholds, limit) for name, limit in AUPRO_LIMITS.items()},
    }
    if histograms.pimo is not None and histograms.pimo.recalls.size:
        good, anomalous = weights[:, histograms.is_good], weights[:, histograms.has_pimo]
        metrics["aupimo"] = binned_aupimo(histograms.pimo, good, anomalous)
    if histograms.saturated is not None:
        saturated = binned_overlap(histograms.saturated, histograms.defects, weights)
        metrics["auspro_005"] = aupro(ranking, saturated, AUSPRO_LIMIT)
    return metrics


def binned_ranking(positives: np.ndarray, negatives: np.ndarray) -> Ranking:
    """Ranking from counts ``[replicate, bin]`` in descending bins."""
    true_positives, false_positives = np.cumsum(positives, axis=-1), np.cumsum(negatives, axis=-1)
    return Ranking(
        true_positives=true_positives,
        false_positives=false_positives,
        false_positives_above=false_positives - negatives,
        positives=true_positives[:, -1],
        negatives=false_positives[:, -1],
    )


def binned_overlap(overlap: np.ndarray, regions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean overlap ``[replicate, bin]`` over the regions, at or above each of descending bins."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means: np.ndarray = np.cumsum(weights @ overlap, axis=-1) / (weights @ regions)[:, None]
        return means


def compute_replicates(metrics: Callable[[np.ndarray], Replicates], weights: Iterator[np.ndarray]) -> Replicates:
    """Compute the metrics of all blocks of replicates and join them."""
    blocks = [metrics(block) for block in weights]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def interval(values: np.ndarray) -> Interval:
    """The 95 % limits of values ``[replicate]``; unknown where one is NaN or there are none."""
    if values.size == 0 or np.isnan(values).any():
        return UNKNOWN
    low, high = np.percentile(values, [LOW_PERCENTILE, HIGH_PERCENTILE])
    return Interval(float(low), float(high))


def mean_replicates(replicates: Sequence[Replicates], metric: str) -> np.ndarray:
    """The mean ``[replicate]`` of a metric over categories or seeds; empty unless all have as many replicates."""
    values = [one.get(metric, np.zeros(0)) for one in replicates]
    sizes = {one.size for one in values}
    return np.mean(values, axis=0) if len(sizes) == 1 and sizes != {0} else np.zeros(0)
