"""Metrics of anomaly maps, by the evaluation's exact and streamed core (`zsad.evaluation.pixels`)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from zsad.errors import ArrayError
from zsad.evaluation.aupro import aupro as area_under_pro
from zsad.evaluation.bootstrap import Interval, Replicates, Sampler, pixel_replicates
from zsad.evaluation.curves import Curve, precision_recall_curve, pro_curve, roc_curve
from zsad.evaluation.pixels import ANY, PixelStatistics, pixel_statistics
from zsad.evaluation.protocols import NATIVE
from zsad.metrics.arrays import Arrays, Defect, MeasuredImages, flags_of_images, protocol_named, require_as_many
from zsad.metrics.images import known, limits_of, sampler
from zsad.names import AUPRO_LIMITS, AUSPRO_LIMIT

LEAST_MEMORY = 1  # MB
MEMORY_MB = 1000


def pixel_auroc(maps: Arrays, masks: Arrays, *, protocol: str = NATIVE, memory_mb: int = MEMORY_MB) -> float:
    """The chance that a defective pixel scores higher than a normal one, all images pooled; a tie counts one half.

    Args:
        maps: an array ``[row, column]`` for each image, on any grid that covers the image edge to edge, such as the
            patch grid; compared as float32, at the size of the mask (bilinear, as by `zsad.maps.at_image_size`).
        masks: an array ``[height, width]`` for each image, bool or 0 and 1, at the image's size; the mask of a normal
            image marks nothing.
        protocol: ``"native"``, at the size of the masks, or ``"resize256"``, ``"resize518"``, ... resized to so many
            pixels squared; other departures from the default may follow, in the words of the column ``protocol`` of
            ``metrics.csv``, e.g. ``"native + smoothing 4"`` (see ``docs/metrics.md``).
        memory_mb: approximate memory besides the arrays. With more defective pixels than that allows, scores are
            rounded, and a warning gives the greatest error of the metric.

    Returns:
        The area under the ROC curve, in 0..1.

    Raises:
        ArrayError: the arrays are anything else, a value is not finite, or no pixel is defective, or none normal.

    >>> pixel_auroc([[[0.1, 0.2], [0.3, 0.9]]], [[[0, 0], [1, 1]]])
    1.0
    """
    return _statistics(maps, masks, protocol, memory_mb).metrics()["pixel_auroc"]


def pixel_ap(maps: Arrays, masks: Arrays, *, protocol: str = NATIVE, memory_mb: int = MEMORY_MB) -> float:
    """Average precision of pixels; see `pixel_auroc`.

    >>> round(pixel_ap([[[0.1, 0.4], [0.3, 0.9]]], [[[0, 0], [1, 1]]]), 4)
    0.8333
    """
    return _statistics(maps, masks, protocol, memory_mb).metrics()["pixel_ap"]


def pixel_f1_max(maps: Arrays, masks: Arrays, *, protocol: str = NATIVE, memory_mb: int = MEMORY_MB) -> float:
    """The greatest F1 of pixels over all thresholds, chosen by the ground truth: an upper bound; see `pixel_auroc`.

    >>> pixel_f1_max([[[0.1, 0.4], [0.3, 0.9]]], [[[0, 0], [1, 1]]])
    0.8
    """
    return _statistics(maps, masks, protocol, memory_mb).metrics()["pixel_f1max"]


def pixel_iou_max(maps: Arrays, masks: Arrays, *, protocol: str = NATIVE, memory_mb: int = MEMORY_MB) -> float:
    """The greatest intersection over union of pixels over all thresholds, an upper bound as well; see `pixel_auroc`.

    >>> round(pixel_iou_max([[[0.1, 0.4], [0.3, 0.9]]], [[[0, 0], [1, 1]]]), 4)
    0.6667
    """
    return _statistics(maps, masks, protocol, memory_mb).metrics()["pixel_ioumax"]


def aupro(
    maps: Arrays,
    masks: Arrays,
    *,
    limit: float = AUPRO_LIMITS["aupro"],
    protocol: str = NATIVE,
    memory_mb: int = MEMORY_MB,
) -> float:
    """The area under the mean overlap of defective regions, up to a false-positive rate, divided by that.

    A region is an 8-connected part of a mask. The curve has a point at every distinct score, not at 200 thresholds.

    Args:
        limit: the greatest false-positive rate, in (0, 1]; 0.3 as of MVTec AD, 0.05 as of MVTec AD 2.

    Returns:
        In 0..1. Other arguments and errors are as of `pixel_auroc`.

    >>> anomaly_map, mask = np.arange(100.0).reshape(10, 10), np.arange(100).reshape(10, 10) >= 95
    >>> aupro([anomaly_map], [mask]), aupro([-anomaly_map], [mask], limit=0.05)
    (1.0, 0.0)
    """
    _require_limit(limit)
    statistics = _statistics(maps, masks, protocol, memory_mb)
    return statistics.aupro_to(limit)


def auspro(
    maps: Arrays,
    masks: Arrays,
    defects: Sequence[Sequence[Defect]],
    *,
    limit: float = AUSPRO_LIMIT,
    protocol: str = NATIVE,
    memory_mb: int = MEMORY_MB,
) -> float:
    """AUPRO of saturated overlaps, for defects of which a part is enough, as in MVTec LOCO AD.

    Args:
        defects: of each image, its defects: pairs of bool ``[height, width]``, within the image's mask, and the number
            of pixels with which that defect counts as wholly found; none for a normal image.
        limit: the greatest false-positive rate, in (0, 1].

    Returns:
        In 0..1. Other arguments and errors are as of `pixel_auroc`.

    >>> anomaly_map, mask = np.array([[1.0, 2.0, 0.0, 0.5]]), np.array([[True, True, True, False]])
    >>> auspro([anomaly_map], [mask], [[(mask, 2)]]), auspro([anomaly_map], [mask], [[(mask, 3)]])
    (1.0, 0.6666666666666666)
    """
    _require_limit(limit)
    statistics = _statistics(maps, masks, protocol, memory_mb, defects=defects)
    if statistics.saturated is None:
        raise ArrayError(
            "no image has a defect with a saturation area, so there is nothing to find; give a mask that marks a defect"
        )
    return float(area_under_pro(statistics.ranking, statistics.saturated, limit))


def aupimo(
    maps: Arrays,
    masks: Arrays,
    *,
    labels: ArrayLike | None = None,
    protocol: str = NATIVE,
    memory_mb: int = MEMORY_MB,
) -> float:
    """The area under each defective image's recall at the strictest thresholds, the mean over these images.

    The thresholds are those at which 1e-5 to 1e-4 of the pixels of normal images are marked, evenly in logarithm.

    Args:
        labels: ``[image]``, 0 or False for a normal image. By default images whose mask marks nothing are normal, which
            is right unless a defective image has an empty mask.

    Returns:
        In 0..1. Other arguments and errors are as of `pixel_auroc`; also an error if no image is normal.

    >>> normal, anomalous = np.zeros((8, 8)), np.eye(8)
    >>> round(aupimo([normal, anomalous], [normal, anomalous]), 6)
    1.0
    """
    statistics = _statistics(maps, masks, protocol, memory_mb, labels=labels)
    _require_aupimo(statistics)
    return statistics.aupimo


def image_aupimo(
    maps: Arrays,
    masks: Arrays,
    *,
    labels: ArrayLike | None = None,
    protocol: str = NATIVE,
    memory_mb: int = MEMORY_MB,
) -> np.ndarray:
    """AUPIMO ``[image]`` of each image; NaN of those without a defective pixel; see `aupimo`.

    >>> normal, anomalous = np.zeros((8, 8)), np.eye(8)
    >>> image_aupimo([normal, anomalous], [normal, anomalous]).round(6).tolist()
    [nan, 1.0]
    """
    statistics = _statistics(maps, masks, protocol, memory_mb, labels=labels)
    _require_aupimo(statistics)
    return statistics.image_aupimo


def pixel_metrics(
    maps: Arrays,
    masks: Arrays,
    *,
    labels: ArrayLike | None = None,
    defects: Sequence[Sequence[Defect]] | None = None,
    protocol: str = NATIVE,
    memory_mb: int = MEMORY_MB,
) -> dict[str, float]:
    """All pixel metrics in the time of one, by their columns in ``metrics.csv``.

    Args:
        labels: as of `aupimo`.
        defects: as of `auspro`.

    Returns:
        ``aupimo`` is NaN where no image is normal, ``auspro_005`` without ``defects``. Other arguments and errors are
        as of `pixel_auroc`.

    >>> normal, anomalous = np.zeros((8, 8)), np.eye(8)
    >>> found = pixel_metrics([normal, anomalous], [normal, anomalous])
    >>> found["pixel_auroc"], found["aupro"], found["aupro_005"], found["auspro_005"]
    (1.0, 1.0, 1.0, nan)
    """
    return _statistics(maps, masks, protocol, memory_mb, labels=labels, defects=defects).metrics()


def pixel_limits(
    maps: Arrays,
    masks: Arrays,
    *,
    labels: ArrayLike | None = None,
    defects: Sequence[Sequence[Defect]] | None = None,
    draws: int = 1000,
    seed: int = 0,
    category: str = "",
    protocol: str = NATIVE,
    memory_mb: int = MEMORY_MB,
) -> dict[str, Interval]:
    """95 % confidence limits of the known `pixel_metrics`, by a bootstrap over whole images.

    Replicates are measured on histograms of each image, so that the limits, unlike the metrics, are approximate.

    Args:
        draws, seed, category: as of `zsad.metrics.image_limits`. Others are as of `pixel_metrics`.

    >>> maps = [np.zeros((8, 8)), np.zeros((8, 8)), np.eye(8), 2 * np.eye(8)]
    >>> pixel_limits(maps, [anomaly_map > 0 for anomaly_map in maps], draws=40)["aupro"]
    Interval(low=1.0, high=1.0)
    """
    drawing = sampler(draws, seed, category)
    statistics = _statistics(maps, masks, protocol, memory_mb, labels=labels, defects=defects, with_histograms=True)
    return limits_of(_replicates_of(statistics, drawing))


def pixel_curves(
    maps: Arrays,
    masks: Arrays,
    *,
    limit: float = AUPRO_LIMITS["aupro"],
    protocol: str = NATIVE,
    memory_mb: int = MEMORY_MB,
) -> dict[str, Curve]:
    """The curves ``"pixel_roc"``, ``"pixel_pr"`` and, up to ``limit``, ``"pro"``, each ``x`` and ``y`` of ``[point]``.

    They have one or two points for every distinct score of a defective pixel. Arguments and errors are as of `aupro`.

    >>> pixel_curves([[[0.1, 0.4], [0.3, 0.9]]], [[[0, 0], [1, 1]]])["pixel_roc"].y.tolist()
    [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    """
    _require_limit(limit)
    statistics = _statistics(maps, masks, protocol, memory_mb)
    ranking = statistics.ranking
    curves = {"pixel_roc": roc_curve(ranking), "pixel_pr": precision_recall_curve(ranking)}
    return known(curves | {"pro": pro_curve(ranking, statistics.overlap, limit)})


def replicates_of_pixels(
    maps: Arrays, masks: Arrays, drawing: Sampler, labels: ArrayLike | None, protocol: str, memory_mb: int
) -> Replicates:
    """The known `pixel_metrics`, ``[replicate]``, of every replicate; arguments and errors as of these."""
    return _replicates_of(_statistics(maps, masks, protocol, memory_mb, labels=labels, with_histograms=True), drawing)


def _replicates_of(statistics: PixelStatistics, drawing: Sampler) -> Replicates:
    if statistics.histograms is None:  # cannot be, as a defective pixel is required
        return {}
    values = statistics.metrics()
    drawn = pixel_replicates(statistics.histograms, drawing)
    return {name: of_metric for name, of_metric in drawn.items() if not np.isnan(values[name])}


def _statistics(
    maps: Arrays,
    masks: Arrays,
    protocol: str,
    memory_mb: int,
    *,
    labels: ArrayLike | None = None,
    defects: Sequence[Sequence[Defect]] | None = None,
    with_histograms: bool = False,
) -> PixelStatistics:
    if memory_mb < LEAST_MEMORY:
        raise ArrayError(f"memory_mb is {memory_mb}, but must be at least {LEAST_MEMORY}")
    measured_at = protocol_named(protocol)
    images = MeasuredImages(maps, masks, measured_at, defects)
    if not images.marks.any():
        raise ArrayError(
            f"none of the {len(images)} masks marks a pixel, so there is nothing to find; give a mask that marks a "
            "defect"
        )
    is_defective = images.marks if labels is None else _labels(labels, images.marks)
    statistics = pixel_statistics(
        images,
        with_histograms=with_histograms,
        types=[ANY if defective else None for defective in is_defective],
        memory_bytes=memory_mb * 1_000_000,
        aupro=measured_at.aupro,
        aupimo=measured_at.aupimo,
    )
    if statistics.ranking.positives == 0:
        raise ArrayError(f"no defective pixel is left at the protocol '{protocol}'; choose '{NATIVE}'")
    if statistics.ranking.negatives == 0:
        raise ArrayError(
            f"the {len(images)} masks mark every pixel, so no pixel is normal; give an image with normal pixels"
        )
    if not statistics.exact:
        greatest = max(statistics.errors().values())
        warnings.warn(
            f"there are more defective pixels than memory_mb = {memory_mb} allows, so scores were rounded, which "
            f"changes a metric by at most {greatest:.1g}; AUPIMO does not change",
            stacklevel=3,
        )
    return statistics


def _labels(labels: ArrayLike, marks: np.ndarray) -> np.ndarray:
    """Labels as bool ``[image]``, none of them normal where the mask marks a pixel."""
    defective = flags_of_images(labels, "label")
    require_as_many(defective, "labels", marks, "masks")
    wrong = np.flatnonzero(marks & ~defective)
    if wrong.size:
        raise ArrayError(f"image {wrong[0]} is labelled good, but its mask marks a defect; correct one of the two")
    return defective


def _require_limit(limit: float) -> None:
    if not 0 < limit <= 1:
        raise ArrayError(f"the limit of the false-positive rate is {limit}, but must be above 0 and at most 1")


def _require_aupimo(statistics: PixelStatistics) -> None:
    if np.isnan(statistics.aupimo) and statistics.remark:
        raise ArrayError(statistics.remark.removesuffix("."))
    if np.isnan(statistics.aupimo):
        raise ArrayError("no image is normal, but AUPIMO needs the false positives on normal images; give some")
