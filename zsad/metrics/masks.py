"""Metrics of binary masks, and of maps at a threshold, by pixels and by defects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from zsad.errors import ArrayError
from zsad.evaluation.bootstrap import Interval, mask_replicates
from zsad.evaluation.marks import marked
from zsad.evaluation.mask_counts import COUNTED, mask_counts
from zsad.evaluation.mask_counts import mask_metrics as metrics_of_counts
from zsad.evaluation.measured import RATIO_OF_MASKS, Measured
from zsad.evaluation.protocols import NATIVE
from zsad.evaluation.refinement import Marked
from zsad.maps import Thresholds, at_image_size
from zsad.metrics.arrays import Arrays, binary, map_of, mask_of, protocol_named, require_masks
from zsad.metrics.images import limits_of, only_ratio, sampler
from zsad.metrics.pixels import MEMORY_MB, pixel_f1_max, replicates_of_pixels


def mask_metrics(predictions: Arrays, masks: Arrays, *, protocol: str = NATIVE) -> dict[str, float]:
    """Agreement of binary masks with the ground truth: pixels of all images pooled, and single defects.

    Args:
        predictions, masks: an array ``[height, width]`` for each image, bool or 0 and 1, of the same size.
        protocol: ``"native"``, or ``"resize256"``, ... at so many pixels squared; see `zsad.metrics.pixel_auroc`.

    Returns:
        ``mask_precision``, ``mask_recall``, ``mask_f1`` and ``mask_iou`` of pixels; ``region_recall``, the share of
        8-connected defects with a marked pixel; ``region_precision``, the share of 8-connected marked regions that
        touch a defect. In 0..1; a precision is 0 where nothing is marked.

    Raises:
        ArrayError: the arrays are anything else, or no pixel is defective.

    >>> mask = np.array([[1, 1, 0, 0], [0, 0, 0, 1]])
    >>> found = mask_metrics([[[1, 0, 0, 0], [1, 0, 0, 0]]], [mask])
    >>> found["mask_precision"], found["region_recall"], found["region_precision"]
    (0.5, 0.5, 1.0)
    """
    return _metrics(_counts_of_masks(predictions, masks, protocol))


def threshold_metrics(
    maps: Arrays, masks: Arrays, threshold: ArrayLike, *, region: ArrayLike | None = None, protocol: str = NATIVE
) -> dict[str, float]:
    """The same for the pixels of anomaly maps above a threshold, or for their marked regions.

    Args:
        maps, masks, protocol: as of `zsad.metrics.pixel_auroc`.
        threshold: in the unit of the maps, one number or ``[image]``; equal values are not marked.
        region: likewise, the value that the highest value of an 8-connected region of the map above ``threshold`` must
            exceed for the region to be marked; at least ``threshold``. The workflow decides by both
            (``zsad.maps.standing_out``), to whose float32 they are rounded. By default every region is marked.

    Raises:
        ArrayError: as of `mask_metrics`, or a threshold is NaN, or the two contradict each other.

    >>> maps, masks = [[[0.5, 0.2, 0.9]]], [[[0, 0, 1]]]
    >>> threshold_metrics(maps, masks, 0.3)["mask_precision"]
    0.5
    >>> threshold_metrics(maps, masks, 0.3, region=0.6)["mask_precision"]
    1.0
    """
    return _metrics(_counts_of_maps(maps, masks, threshold, region, protocol))


def threshold_ratio(
    maps: Arrays,
    masks: Arrays,
    threshold: ArrayLike,
    *,
    region: ArrayLike | None = None,
    protocol: str = NATIVE,
    memory_mb: int = MEMORY_MB,
) -> float:
    """Ratio of ``mask_f1`` to the best that labels could choose, `zsad.metrics.pixel_f1_max`: ``mask_ratio``.

    Args:
        maps, masks, threshold, region, protocol: as of `threshold_metrics`.
        memory_mb: as of `zsad.metrics.pixel_auroc`.

    Returns:
        The ratio of the two; it exceeds 1 if leaving out regions does better than any threshold.

    >>> threshold_ratio([[[0.5, 0.2, 0.9]]], [[[0, 0, 1]]], 0.6)
    1.0
    """
    part = threshold_metrics(maps, masks, threshold, region=region, protocol=protocol)
    whole = {"pixel_f1max": pixel_f1_max(maps, masks, protocol=protocol, memory_mb=memory_mb)}
    return only_ratio(Measured(part | whole, {}), RATIO_OF_MASKS).values["mask_ratio"]


def image_overlaps(predictions: Arrays, masks: Arrays, *, protocol: str = NATIVE) -> dict[str, np.ndarray]:
    """Agreement of the mask of each image with its ground truth.

    Args:
        predictions, masks, protocol: as of `mask_metrics`.

    Returns:
        ``iou`` and ``dice``, ``[image]`` in 0..1, NaN of images without a defective pixel; and ``area``, the share of
        each image that is marked.

    Raises:
        ArrayError: the arrays are anything else.

    >>> mask = np.array([[1, 1, 0, 0], [0, 0, 0, 1]])
    >>> found = image_overlaps([[[1, 0, 0, 0], [1, 0, 0, 0]], 0 * mask], [mask, 0 * mask])
    >>> found["iou"].tolist(), found["dice"].tolist(), found["area"].tolist()
    ([0.25, nan], [0.4, nan], [0.25, 0.0])
    """
    marked = [Marked.of(*pair) for pair in _pairs(predictions, masks, protocol)]
    return {name: np.array([getattr(one, name) for one in marked]) for name in ("iou", "dice", "area")}


def mask_limits(
    predictions: Arrays,
    masks: Arrays,
    *,
    draws: int = 1000,
    seed: int = 0,
    category: str = "",
    protocol: str = NATIVE,
) -> dict[str, Interval]:
    """95 % confidence limits of `mask_metrics`, by a stratified bootstrap over normal and defective images.

    Args:
        draws, seed, category: as of `zsad.metrics.image_limits`. Others are as of `mask_metrics`.

    >>> masks = [np.eye(4, dtype=bool), np.zeros((4, 4), bool)]
    >>> mask_limits(masks, masks, draws=40)["mask_iou"]
    Interval(low=1.0, high=1.0)
    """
    drawing, counts = sampler(draws, seed, category), _counts_of_masks(predictions, masks, protocol)
    _metrics(counts)
    return limits_of(mask_replicates(counts, drawing))


def threshold_limits(
    maps: Arrays,
    masks: Arrays,
    threshold: ArrayLike,
    *,
    region: ArrayLike | None = None,
    draws: int = 1000,
    seed: int = 0,
    category: str = "",
    protocol: str = NATIVE,
) -> dict[str, Interval]:
    """95 % confidence limits of `threshold_metrics`, likewise.

    >>> maps = [np.eye(4), np.zeros((4, 4))]
    >>> threshold_limits(maps, [each > 0 for each in maps], 0.5, draws=40)["mask_iou"]
    Interval(low=1.0, high=1.0)
    """
    drawing, counts = sampler(draws, seed, category), _counts_of_maps(maps, masks, threshold, region, protocol)
    _metrics(counts)
    return limits_of(mask_replicates(counts, drawing))


def threshold_ratio_limits(
    maps: Arrays,
    masks: Arrays,
    threshold: ArrayLike,
    *,
    region: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    draws: int = 1000,
    seed: int = 0,
    category: str = "",
    protocol: str = NATIVE,
    memory_mb: int = MEMORY_MB,
) -> Interval:
    """95 % confidence limits of `threshold_ratio`, computed in every replicate.

    ``pixel_f1_max`` is measured on histograms there, so that the limits are approximate.

    Args:
        labels, draws, seed, category: as of `zsad.metrics.pixel_limits`.

    >>> maps = [np.eye(4), np.zeros((4, 4))]
    >>> threshold_ratio_limits(maps, [each > 0 for each in maps], 0.5, draws=40)
    Interval(low=1.0, high=1.0)
    """
    drawing, counts = sampler(draws, seed, category), _counts_of_maps(maps, masks, threshold, region, protocol)
    _metrics(counts)
    both = mask_replicates(counts, drawing) | replicates_of_pixels(maps, masks, drawing, labels, protocol, memory_mb)
    return limits_of(only_ratio(Measured({}, both), RATIO_OF_MASKS).replicates)["mask_ratio"]


def _counts_of_maps(
    maps: Arrays, masks: Arrays, threshold: ArrayLike, region: ArrayLike | None, protocol: str
) -> np.ndarray:
    number, measured_at = require_masks(masks, maps, "maps"), protocol_named(protocol)
    pixel = _thresholds(threshold, number, "threshold")
    highest = None if region is None else _thresholds(region, number, "region")
    if highest is not None and (contradicting := np.flatnonzero(pixel > highest)).size:
        image = contradicting[0]
        raise ArrayError(
            f"region is {highest[image]} and threshold is {pixel[image]}, but region must not be below "
            "threshold; raise it, or lower threshold"
        )
    counts = np.zeros((number, COUNTED), np.int64)
    for position in range(number):
        ground_truth, anomaly_map = mask_of(masks, position), map_of(maps, position)
        size = measured_at.size(*ground_truth.shape)
        if highest is None:
            mask = at_image_size(anomaly_map, *size) > float(pixel[position])
        else:
            pair = (float(np.float32(values[position])) for values in (pixel, highest))
            mask = marked(anomaly_map, Thresholds(*pair), *size)
        counts[position] = mask_counts(mask, measured_at.true_mask(ground_truth))
    return counts


def _thresholds(values: ArrayLike, number: int, name: str) -> np.ndarray:
    """float64 ``[image]`` of one number, or of one for each of ``number`` images."""
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArrayError(f"{name} is not a number; give one in the unit of the maps, or one for each image") from None
    if found.ndim > 1 or (found.ndim and len(found) != number):
        raise ArrayError(f"{name} has the shape {found.shape}; give one number, or one for each of the {number} images")
    if np.isnan(found).any():
        raise ArrayError(f"the {name} is NaN, which no value exceeds; give a number in the unit of the maps")
    return np.broadcast_to(found, number)


def _counts_of_masks(predictions: Arrays, masks: Arrays, protocol: str) -> np.ndarray:
    return np.stack([mask_counts(*pair) for pair in _pairs(predictions, masks, protocol)])


def _pairs(predictions: Arrays, masks: Arrays, protocol: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Prediction and ground truth of each image, bool and of one shape."""
    number, measured_at = require_masks(masks, predictions, "predictions"), protocol_named(protocol)
    for position in range(number):
        marked, ground_truth = binary(predictions[position], f"prediction {position}"), mask_of(masks, position)
        if marked.shape != ground_truth.shape:
            raise ArrayError(
                f"prediction {position} has the shape {marked.shape} and its mask {ground_truth.shape}; resize it to "
                "the size of the image"
            )
        yield measured_at.mask(marked), measured_at.true_mask(ground_truth)


def _metrics(counts: np.ndarray) -> dict[str, float]:
    found = {name: float(value) for name, value in metrics_of_counts(counts.sum(axis=0)).items()}
    if any(map(np.isnan, found.values())):
        raise ArrayError(
            f"none of the {len(counts)} masks marks a pixel, so there is nothing to find; give a mask that marks a "
            "defect"
        )
    return found
