"""Confidence limits of the ranking metrics by a stratified bootstrap over images.

Images are drawn with replacement, good and defective ones apart, so that every draw has as many of each as the data
(Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 6: standard error, 13: percentile interval).
An image is drawn whole, since its pixels are anything but independent.

A draw is a vector of weights over images, so that a metric of a draw needs only each image's counts: exact for image
metrics; for pixel metrics histograms over common bins, which makes the limits, and only these, approximate. Pixels are
never read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from zsad.evaluation.aupro import aupro
from zsad.evaluation.ranking import Ranking, auroc, average_precision, f1_max

BLOCK_ELEMENTS = 1 << 18
LOW_PERCENTILE, HIGH_PERCENTILE = 2.5, 97.5
NORMAL_QUANTILE = 1.96


class Confidence(NamedTuple):
    """95 % confidence limits and the standard error of one metric; NaN where the metric is."""

    low: float
    high: float
    standard_error: float


UNKNOWN = Confidence(np.nan, np.nan, np.nan)


class ImageHistograms(NamedTuple):
    """What each image adds to the pixel metrics, counted in common bins of descending score.

    Attributes:
        positives: ``[image, bin]``, defective pixels.
        negatives: ``[image, bin]``, normal pixels.
        overlap: ``[image, bin]``, sum over the image's regions of the share of the region in the bin.
        regions: ``[image]``, number of defective regions.
    """

    positives: np.ndarray
    negatives: np.ndarray
    overlap: np.ndarray
    regions: np.ndarray


def image_confidence(scores: np.ndarray, labels: np.ndarray, resamples: int, seed: int) -> dict[str, Confidence]:
    """Confidence of the image metrics.

    Args:
        scores: ``[image]``, one or more.
        labels: ``[image]``, 1 defective, 0 good.
        resamples: number of draws, 2 or more.
        seed: of the draws.
    """
    order = np.argsort(-scores, kind="stable")
    scores, defective = scores[order], np.asarray(labels)[order] == 1
    first_of_tie = np.flatnonzero(np.concatenate([[True], np.diff(scores) != 0]))

    def metrics(weights: np.ndarray) -> dict[str, np.ndarray]:
        positives = np.add.reduceat(np.where(defective, weights, 0.0), first_of_tie, axis=1)
        negatives = np.add.reduceat(np.where(defective, 0.0, weights), first_of_tie, axis=1)
        ranking = _binned_ranking(positives, negatives)
        return {
            "image_auroc": auroc(ranking),
            "image_ap": average_precision(ranking),
            "image_f1max": f1_max(ranking),
        }

    return _confidence(metrics, [defective, ~defective], len(first_of_tie), resamples, seed)


def pixel_confidence(histograms: ImageHistograms, limit: float, resamples: int, seed: int) -> dict[str, Confidence]:
    """Confidence of the pixel metrics.

    Args:
        histograms: of the images with pixel truth; those with regions are drawn apart from those without.
        limit: greatest false-positive rate of AUPRO.
        resamples: number of draws, 2 or more.
        seed: of the draws.
    """
    defective = histograms.regions > 0
    return _confidence(
        lambda weights: histogram_metrics(histograms, weights, limit),
        [defective, ~defective],
        histograms.positives.shape[1],
        resamples,
        seed,
    )


def histogram_metrics(histograms: ImageHistograms, weights: np.ndarray, limit: float) -> dict[str, np.ndarray]:
    """Pixel metrics ``[draw]`` of weighted images; all pixels of a bin count as tied.

    Args:
        weights: ``[draw, image]``, how often each image was drawn.
        limit: greatest false-positive rate of AUPRO.
    """
    ranking = _binned_ranking(weights @ histograms.positives, weights @ histograms.negatives)
    regions = weights @ histograms.regions
    with np.errstate(invalid="ignore"):
        overlap = np.cumsum(weights @ histograms.overlap, axis=-1) / regions[:, None]
    return {
        "pixel_auroc": auroc(ranking),
        "pixel_ap": average_precision(ranking),
        "pixel_f1max": f1_max(ranking),
        "aupro": aupro(ranking, overlap, limit),
    }


def mean_confidence(mean: float, standard_errors: Sequence[float]) -> Confidence:
    """Confidence of a mean over categories, taken as independent of each other.

    The standard error is the root of the sum of squares over the number of categories; the limits are the mean
    +- 1.96 standard errors, kept within 0..1.
    """
    if not standard_errors:
        return UNKNOWN
    error = float(np.sqrt(np.sum(np.square(standard_errors))) / len(standard_errors))
    low, high = np.clip([mean - NORMAL_QUANTILE * error, mean + NORMAL_QUANTILE * error], 0.0, 1.0)
    return Confidence(float(low), float(high), error)


def _binned_ranking(positives: np.ndarray, negatives: np.ndarray) -> Ranking:
    """Ranking from counts ``[draw, bin]`` in descending bins."""
    true_positives, false_positives = np.cumsum(positives, axis=-1), np.cumsum(negatives, axis=-1)
    return Ranking(
        true_positives=true_positives,
        false_positives=false_positives,
        false_positives_above=false_positives - negatives,
        positives=true_positives[:, -1],
        negatives=false_positives[:, -1],
    )


def _confidence(
    metrics: Callable[[np.ndarray], dict[str, np.ndarray]],
    strata: Sequence[np.ndarray],
    bins: int,
    resamples: int,
    seed: int,
) -> dict[str, Confidence]:
    blocks = [metrics(weights) for weights in _draws(strata, max(1, BLOCK_ELEMENTS // bins), resamples, seed)]
    return {name: _summary(np.concatenate([block[name] for block in blocks])) for name in blocks[0]}


def _draws(strata: Sequence[np.ndarray], block: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield weights float64 ``[draw, image]``, at most ``block`` draws at a time.

    Args:
        strata: bool ``[image]`` each; together they hold every image once.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, block):
        weights = np.zeros((min(block, resamples - start), len(strata[0])))
        for stratum in strata:
            size = np.count_nonzero(stratum)
            if size:
                weights[:, stratum] = rng.multinomial(size, np.full(size, 1.0 / size), size=len(weights))
        yield weights


def _summary(values: np.ndarray) -> Confidence:
    if np.isnan(values).any():
        return UNKNOWN
    low, high = np.percentile(values, [LOW_PERCENTILE, HIGH_PERCENTILE])
    return Confidence(float(low), float(high), float(np.std(values, ddof=1)))
