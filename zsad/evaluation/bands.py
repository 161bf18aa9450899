"""Pointwise 95 % bands of the curves: at each point, percentiles of the curve's height over bootstrap replicates."""

from __future__ import annotations

from typing import Any

import numpy as np

from zsad.evaluation.bootstrap import (
    HIGH_PERCENTILE,
    LOW_PERCENTILE,
    ImageHistograms,
    Replicates,
    Sampler,
    binned_overlap,
    binned_ranking,
    compute_replicates,
    image_rankings,
)
from zsad.evaluation.ranking import Ranking, precision

UNIT = np.linspace(0.0, 1.0, 101)
ROUNDING = 1e-12
TO_PRO_LIMIT = np.linspace(0.0, 0.3, 61)
PLACES = {
    "image_roc": UNIT,
    "image_pr": UNIT,
    "pixel_roc": UNIT,
    "pixel_pr": UNIT,
    "pro": TO_PRO_LIMIT,
}


def roc_heights(ranking: Ranking, height: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Heights ``[replicate, place]`` of curves over the false-positive rate.

    Args:
        ranking: its arrays are ``[replicate, threshold]``.
        height: ``[replicate, threshold]``, at or above each threshold.
        places: ``[place]``, false-positive rates.
    """
    before = np.concatenate([np.zeros_like(height[:, :1]), height[:, :-1]], axis=1)
    x = np.stack([ranking.false_positives_above, ranking.false_positives], axis=-1).reshape(len(height), -1)
    y = np.stack([before, height], axis=-1).reshape(len(height), -1)
    rates = x / ranking.negatives[:, None]
    return np.stack([np.interp(places, one_x, one_y) for one_x, one_y in zip(rates, y, strict=True)])


def precision_heights(ranking: Ranking, places: np.ndarray) -> np.ndarray:
    """Precision ``[replicate, place]`` of the highest threshold that reaches each recall in ``places``, ``[place]``."""
    recall, height = _recall(ranking), precision(ranking)
    lowest = recall[np.arange(len(recall)), (recall > 0).argmax(axis=1)]
    # At recall 0 the precision is that of the first threshold that finds a defect, as in the curve itself.
    wanted = np.maximum(places - ROUNDING, lowest[:, None])
    reached = [np.searchsorted(one, of_one) for one, of_one in zip(recall, wanted, strict=True)]
    last = height.shape[1] - 1
    return np.stack([one[np.minimum(first, last)] for one, first in zip(height, reached, strict=True)])


def image_bands(scores: np.ndarray, labels: np.ndarray, sampler: Sampler) -> dict[str, dict[str, Any]]:
    """JSON of the bands of the image curves; arguments as of `zsad.evaluation.bootstrap.image_replicates`."""
    ranking_of = image_rankings(scores, labels)

    def heights(weights: np.ndarray) -> Replicates:
        ranking = ranking_of(weights)
        return {
            "image_roc": roc_heights(ranking, _recall(ranking), PLACES["image_roc"]),
            "image_pr": precision_heights(ranking, PLACES["image_pr"]),
        }

    return _bands(compute_replicates(heights, sampler.weights(np.asarray(labels) == 1)))


def pixel_bands(histograms: ImageHistograms, sampler: Sampler) -> dict[str, dict[str, Any]]:
    """JSON of the bands of the pixel curves; arguments as of `zsad.evaluation.bootstrap.pixel_replicates`."""

    def heights(weights: np.ndarray) -> Replicates:
        ranking = binned_ranking(weights @ histograms.positives, weights @ histograms.negatives)
        overlap = binned_overlap(histograms.overlap, histograms.regions, weights)
        return {
            "pixel_roc": roc_heights(ranking, _recall(ranking), PLACES["pixel_roc"]),
            "pixel_pr": precision_heights(ranking, PLACES["pixel_pr"]),
            "pro": roc_heights(ranking, overlap, PLACES["pro"]),
        }

    return _bands(compute_replicates(heights, sampler.weights(histograms.regions > 0)))


def _recall(ranking: Ranking) -> np.ndarray:
    recall: np.ndarray = ranking.true_positives / ranking.positives[:, None]
    return recall


def _bands(heights: Replicates) -> dict[str, dict[str, Any]]:
    bands = {}
    for name, values in heights.items():
        low, high = np.percentile(values, [LOW_PERCENTILE, HIGH_PERCENTILE], axis=0)
        bands[name] = {"x": PLACES[name], "low": low, "high": high}
    return bands
