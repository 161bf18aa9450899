"""Pixel metrics of a category, exact and streamed.

The images are gone through twice: once for the scores of the defective pixels, which are few, and once for the normal
pixels, which are counted against the distinct scores of the defective ones. They are counted block by block: a block is
filled, sorted in place and forgotten. AUROC, AP, F1-max and AUPRO all follow from these counts.

Memory: about 100 bytes a defective pixel, 4 bytes a pixel of a block (64 MiB, less in a small category), and with a
bootstrap 24 bytes an image and bin (of 2000); normal pixels beyond a block take none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zsad.errors import DataError
from zsad.evaluation.aupro import region_areas
from zsad.evaluation.bootstrap import ImageHistograms
from zsad.evaluation.confusion import Confusion
from zsad.evaluation.ranking import Ranking, negatives_above
from zsad.progress import progress

BLOCK_PIXELS = 1 << 24
QUANTILES = 500

MapAndTruth = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class PixelStatistics:
    """All that the pixel metrics of a category need.

    Attributes:
        ranking: of the pixels of all images together.
        overlap: ``[threshold]``, mean over the regions of the share at or above each threshold of the ranking.
        regions: int ``[image]``, number of defective regions.
        confusion: of the map, thresholded, against the truth.
        histograms: for the bootstrap; None if not asked for or if no pixel is defective.
    """

    ranking: Ranking
    overlap: np.ndarray
    regions: np.ndarray
    confusion: Confusion
    histograms: ImageHistograms | None


def pixel_statistics(
    images: Sequence[MapAndTruth],
    threshold: float,
    *,
    with_histograms: bool,
    block_pixels: int = BLOCK_PIXELS,
) -> PixelStatistics:
    """Gather the statistics of a category.

    Args:
        images: pairs of an anomaly map (float32 ``[height, width]``) and its truth (bool, same shape); each item is
            asked for twice, and may be made at that time.
        threshold: pixels above it are called defective in ``confusion``.
        with_histograms: gather each image's histograms too.
        block_pixels: normal pixels held at a time.

    Raises:
        DataError: a map has a NaN.
    """
    defects = _gather_defects(images)
    edges = _bin_edges(defects) if with_histograms and defects.scores.size else None
    normal = _NormalPixels(defects.thresholds, block_pixels)
    confusion, negative_histograms = Confusion(), []
    for anomaly_map, truth in progress(images, total=len(images), label="normal pixels"):
        confusion = confusion.plus(Confusion.of(anomaly_map > threshold, truth))
        scores = anomaly_map[~truth]
        if edges is not None:
            scores.sort()
            negative_histograms.append(np.diff(np.searchsorted(scores, edges), prepend=0, append=scores.size))
        normal.add(scores)
    return PixelStatistics(
        ranking=normal.ranking(np.cumsum(defects.tied[::-1])),
        overlap=np.cumsum(defects.tied_overlap[::-1]) / max(1, defects.regions.sum()),
        regions=defects.regions,
        confusion=confusion,
        histograms=None if edges is None else _histograms(defects, edges, np.array(negative_histograms)),
    )


@dataclass(frozen=True)
class _Defects:
    """The defective pixels of a category.

    Attributes:
        scores: float32 ``[pixel]``, ascending.
        overlap: ``[pixel]``, one over the area of the pixel's region.
        image: int32 ``[pixel]``.
        regions: int ``[image]``.
        thresholds: float32 ``[threshold]``, the distinct scores, ascending.
        tied: int ``[threshold]``, pixels of each distinct score.
        tied_overlap: ``[threshold]``, sum of their ``overlap``.
    """

    scores: np.ndarray
    overlap: np.ndarray
    image: np.ndarray
    regions: np.ndarray
    thresholds: np.ndarray
    tied: np.ndarray
    tied_overlap: np.ndarray


def _gather_defects(images: Sequence[MapAndTruth]) -> _Defects:
    scores, overlap = [np.zeros(0, np.float32)], [np.zeros(0)]
    regions, sizes = np.zeros(len(images), np.int64), np.zeros(len(images), np.int64)
    for index, (anomaly_map, truth) in enumerate(progress(images, total=len(images), label="defective pixels")):
        if not truth.any():
            continue
        region, areas = region_areas(truth)
        scores.append(anomaly_map[truth].astype(np.float32, copy=False))
        overlap.append(1.0 / areas[region])
        regions[index], sizes[index] = areas.size, region.size
    image = np.repeat(np.arange(len(images), dtype=np.int32), sizes)
    all_scores, all_overlap = np.concatenate(scores), np.concatenate(overlap)
    order = np.argsort(all_scores, kind="stable")
    all_scores, all_overlap = all_scores[order], all_overlap[order]
    if all_scores.size and np.isnan(all_scores[-1]):
        raise DataError("an anomaly map has a NaN, which has no rank; score the category again")
    first = np.flatnonzero(np.diff(all_scores, prepend=np.float32(-np.inf)) != 0)
    return _Defects(
        scores=all_scores,
        overlap=all_overlap,
        image=image[order],
        regions=regions,
        thresholds=all_scores[first],
        tied=np.diff(first, append=all_scores.size),
        tied_overlap=np.add.reduceat(all_overlap, first) if first.size else all_overlap,
    )


class _NormalPixels:
    """Counts normal pixels against thresholds, a block at a time."""

    def __init__(self, thresholds: np.ndarray, block_pixels: int) -> None:
        self._thresholds = thresholds
        self._block = np.empty(block_pixels, np.float32)
        self._held = 0
        self._total = 0
        self._above = np.zeros(thresholds.size, np.int64)
        self._from_threshold = np.zeros(thresholds.size, np.int64)

    def add(self, scores: np.ndarray) -> None:
        """Count the scores, float32 ``[pixel]``, of an image's normal pixels."""
        while scores.size:
            part = scores[: self._block.size - self._held]
            self._block[self._held : self._held + part.size] = part
            self._held += part.size
            scores = scores[part.size :]
            if self._held == self._block.size:
                self._count_block()

    def ranking(self, true_positives: np.ndarray) -> Ranking:
        """The ranking of all pixels.

        Args:
            true_positives: ``[threshold]``, defective pixels at or above each threshold, in descending order of these.
        """
        self._count_block()
        return Ranking(
            true_positives=true_positives,
            false_positives=self._from_threshold[::-1],
            false_positives_above=self._above[::-1],
            positives=np.asarray(true_positives[-1] if true_positives.size else 0),
            negatives=np.asarray(self._total),
        )

    def _count_block(self) -> None:
        scores = self._block[: self._held]
        scores.sort()
        above, from_threshold = negatives_above(scores, self._thresholds)
        self._above += above
        self._from_threshold += from_threshold
        self._total += scores.size
        self._held = 0


def _bin_edges(defects: _Defects) -> np.ndarray:
    """Ascending float32 edges: quantiles of the defective pixels, and quantiles with every region weighing alike.

    Each quantile has a bin of its own, so that the binned curves pass through exact points, and between two of these
    lies at most one in `QUANTILES` of the pixels and of the regions, which bounds what binning can change.
    """
    ranks = np.linspace(0, defects.scores.size - 1, QUANTILES + 1).astype(np.int64)
    covered = np.cumsum(defects.overlap)
    region_ranks = np.searchsorted(covered, np.linspace(0.0, covered[-1], QUANTILES + 1))
    region_ranks = np.minimum(region_ranks, defects.scores.size - 1)
    quantiles = np.unique(defects.scores[np.concatenate([ranks, region_ranks])])
    return np.unique(np.concatenate([quantiles, np.nextafter(quantiles, np.float32(np.inf))]))


def _histograms(defects: _Defects, edges: np.ndarray, negatives: np.ndarray) -> ImageHistograms:
    """Histograms in descending bins; ``negatives[image, bin]`` is given in ascending ones."""
    images, bins = len(defects.regions), edges.size + 1
    cell = defects.image.astype(np.int64) * bins + np.searchsorted(edges, defects.scores, side="right")

    def per_image(weights: np.ndarray | None) -> np.ndarray:
        counts = np.bincount(cell, weights=weights, minlength=images * bins)
        return counts.reshape(images, bins)[:, ::-1].astype(np.float64)

    return ImageHistograms(
        positives=per_image(None),
        negatives=negatives[:, ::-1].astype(np.float64),
        overlap=per_image(defects.overlap),
        regions=defects.regions,
    )
