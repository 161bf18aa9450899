"""Metrics of binary masks, and of maps at a threshold: what they find, pixel by pixel and defect by defect."""

from __future__ import annotations

import numpy as np

from zsad.errors import ArrayError
from zsad.evaluation.bootstrap import Interval, mask_draws
from zsad.evaluation.mask_counts import COUNTED, mask_counts
from zsad.evaluation.mask_counts import mask_metrics as metrics_of_counts
from zsad.evaluation.protocols import NATIVE
from zsad.metrics.arrays import Arrays, binary, map_of, protocol_named, require_masks, truth_of
from zsad.metrics.images import limits_of, sampler


def mask_metrics(predictions: Arrays, masks: Arrays, *, protocol: str = NATIVE) -> dict[str, float]:
    """How well binary masks match the truth, pixels of all images pooled, and defects one by one.

    Args:
        predictions, masks: an array ``[height, width]`` an image, bool or 0 and 1, of the same size.
        protocol: ``"native"``, or ``"resize256"``, at 256 x 256 pixels.

    Returns:
        ``mask_precision``, ``mask_recall``, ``mask_f1`` and ``mask_iou`` of pixels; ``region_recall``, the share of
        8-connected defects of which a pixel is marked; ``region_precision``, the share of 8-connected marked regions
        that touch a defect. In 0..1; a precision is 0 where nothing is marked.

    Raises:
        ArrayError: the arrays are anything else, or no pixel is defective.

    >>> mask = np.array([[1, 1, 0, 0], [0, 0, 0, 1]])
    >>> found = mask_metrics([[[1, 0, 0, 0], [1, 0, 0, 0]]], [mask])
    >>> found["mask_precision"], found["region_recall"], found["region_precision"]
    (0.5, 0.5, 1.0)
    """
    return _metrics(_counts_of_masks(predictions, masks, protocol))


def threshold_metrics(maps: Arrays, masks: Arrays, threshold: float, *, protocol: str = NATIVE) -> dict[str, float]:
    """The same of what lies above a threshold of anomaly maps.

    Args:
        maps, masks, protocol: as of `zsad.metrics.pixel_auroc`.
        threshold: in the unit of the maps; what equals it is not marked.

    Raises:
        ArrayError: as of `mask_metrics`, or the threshold is NaN.

    >>> threshold_metrics([[[0.1, 0.2], [0.3, 0.9]]], [[[0, 0], [1, 1]]], 0.3)["mask_recall"]
    0.5
    """
    if np.isnan(threshold):
        raise ArrayError("the threshold is NaN, which nothing exceeds; give a number in the unit of the maps")
    number, measured_at = require_masks(masks, maps, "maps"), protocol_named(protocol)
    counts = np.zeros((number, COUNTED), np.int64)
    for position in range(number):
        truth = truth_of(masks, position)
        anomaly_map = measured_at.anomaly_map(map_of(maps, position), *truth.shape)
        counts[position] = mask_counts(anomaly_map > threshold, measured_at.mask(truth))
    return _metrics(counts)


def mask_limits(
    predictions: Arrays,
    masks: Arrays,
    *,
    draws: int = 1000,
    seed: int = 0,
    category: str = "",
    protocol: str = NATIVE,
) -> dict[str, Interval]:
    """95 % confidence limits of `mask_metrics`, by a bootstrap over images, good and defective ones apart.

    Args:
        draws, seed, category: as of `zsad.metrics.image_limits`. Others are as of `mask_metrics`.

    >>> masks = [np.eye(4, dtype=bool), np.zeros((4, 4), bool)]
    >>> mask_limits(masks, masks, draws=40)["mask_iou"]
    Interval(low=1.0, high=1.0)
    """
    drawing, counts = sampler(draws, seed, category), _counts_of_masks(predictions, masks, protocol)
    _metrics(counts)
    return limits_of(mask_draws(counts, drawing))


def _counts_of_masks(predictions: Arrays, masks: Arrays, protocol: str) -> np.ndarray:
    number, measured_at = require_masks(masks, predictions, "predictions"), protocol_named(protocol)
    counts = np.zeros((number, COUNTED), np.int64)
    for position in range(number):
        marked, truth = binary(predictions[position], f"prediction {position}"), truth_of(masks, position)
        if marked.shape != truth.shape:
            raise ArrayError(
                f"prediction {position} has the shape {marked.shape} and its mask {truth.shape}; "
                "bring it to the size of the image"
            )
        counts[position] = mask_counts(measured_at.mask(marked), measured_at.mask(truth))
    return counts


def _metrics(counts: np.ndarray) -> dict[str, float]:
    found = {name: float(value) for name, value in metrics_of_counts(counts.sum(axis=0)).items()}
    if any(map(np.isnan, found.values())):
        raise ArrayError(
            f"none of the {len(counts)} masks marks a pixel, so there is nothing to find; give one that does"
        )
    return found
