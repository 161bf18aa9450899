"""Pixel metrics of a category, exact and streamed.

The images are read twice, one at a time: first those with defects, for the scores of the defective pixels, which are
few and serve as thresholds; then all of them, for the normal pixels, which are counted against these thresholds (see
`zsad.evaluation.normals`). AUROC, AP, F1-max, IoU-max, AUPRO and AU-sPRO all follow from these counts, those of one
defect type (its images and the normal ones) as well as those of all together.

Memory: about 100 bytes a defective pixel, as far as the budget allows; 4 bytes a normal pixel of a block; 110 MB of
buckets; and with a bootstrap 32 bytes an image and bin, of at most 2000, fewer where they are too many.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zsad.evaluation.aupimo import AUPIMO, STEPS, InterpolatedPimo, NormalTail, Pimo
from zsad.evaluation.aupro import AUPRO, EXACT, LINEAR, aupro
from zsad.evaluation.bootstrap import ImageHistograms
from zsad.evaluation.defects import (
    BYTES_A_DEFECT,
    Defects,
    PixelImage,
    PixelImages,
    TypeCounts,
    gather_defects,
    pixel_image,
)
from zsad.evaluation.enclosure import error_bounds
from zsad.evaluation.image_bins import ImageBins
from zsad.evaluation.linear_thresholds import LinearThresholds
from zsad.evaluation.normals import NormalCounts, NormalPixels, finite_scores
from zsad.evaluation.ranking import Ranking, auroc, average_precision, f1_max, iou_of_f1
from zsad.names import AUPRO_LIMITS, AUSPRO_LIMIT
from zsad.progress import Meter

DEFAULT_MEMORY = 1_000_000_000
BLOCK_PIXELS = 1 << 23
MOST_QUANTILES, LEAST_QUANTILES = 500, 20
BYTES_A_QUANTILE = 4 * 4 * 8  # of an image: two bins for each of two kinds of quantiles in four tables
ANY = "any"

Observer = Callable[[int, PixelImage], None]


@dataclass(frozen=True)
class PixelRanking:
    """Counts from which the pixel metrics follow.

    Attributes:
        ranking: of the pixels of all images together.
        overlap: ``[threshold]``, mean over the regions of the share at or above each threshold of the ranking.
        saturated: ``[threshold]``, mean saturated overlap over the defects; None without saturation areas.
        aupimo: mean over the anomalous images; NaN without these, or without normal ones.
        aupro: definition of AUPRO, see `zsad.evaluation.aupro.AUPRO`.
        linear: counts for it, if its thresholds are linear.
    """

    ranking: Ranking
    overlap: np.ndarray
    saturated: np.ndarray | None
    aupimo: float
    aupro: str = EXACT
    linear: tuple[Ranking, np.ndarray] | None = None

    def metrics(self) -> dict[str, float]:
        """All pixel metrics by the names of `PIXEL_METRICS`; NaN where not known."""
        f1 = f1_max(self.ranking)
        found = {
            "pixel_auroc": auroc(self.ranking),
            "pixel_ap": average_precision(self.ranking),
            "pixel_f1max": f1,
            "pixel_ioumax": iou_of_f1(f1),
            **{name: self.aupro_to(limit) for name, limit in AUPRO_LIMITS.items()},
            "aupimo": self.aupimo,
            "auspro_005": np.nan if self.saturated is None else aupro(self.ranking, self.saturated, AUSPRO_LIMIT),
        }
        return {name: float(value) for name, value in found.items()}

    def aupro_to(self, limit: float) -> float:
        """AUPRO up to a false-positive rate in (0, 1]."""
        ranking, overlap = (self.ranking, self.overlap) if self.linear is None else self.linear
        return float(AUPRO[self.aupro](ranking, overlap, limit))


@dataclass(frozen=True)
class PixelStatistics(PixelRanking):
    """Likewise for a category, its defect types and its images.

    Attributes:
        by_type: the images of one defect type and the normal ones.
        image_aupimo: ``[image]``, NaN for one without a defective pixel.
        regions: int ``[image]``, number of defective regions.
        exact: whether nothing was rounded; see `errors`.
        histograms: for the bootstrap; None if not wanted or if no pixel is defective.
        remark: a sentence about a problem with AUPIMO; or empty.
    """

    by_type: Mapping[str, PixelRanking] = field(default_factory=dict)
    image_aupimo: np.ndarray = field(default_factory=lambda: np.zeros(0))
    regions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    exact: bool = True
    histograms: ImageHistograms | None = None
    remark: str = ""

    def errors(self) -> dict[str, float]:
        """The greatest error of each metric if scores had to be rounded to levels; else empty."""
        return {} if self.exact else error_bounds(self.ranking, self.overlap, self.saturated, self.aupro)


def pixel_statistics(
    images: PixelImages,
    *,
    with_histograms: bool,
    types: Sequence[str | None] | None = None,
    memory_bytes: int = DEFAULT_MEMORY,
    block_pixels: int | None = None,
    observe: Observer | None = None,
    work: Sequence[float] | None = None,
    aupro: str = EXACT,
    aupimo: str = STEPS,
) -> PixelStatistics:
    """Gather the statistics of a category.

    Args:
        images: each is read once, or twice if it has a type, and may be made at that time; once more for an AUPRO at
            linear thresholds. Without defective pixels the ground truth may be None.
        with_histograms: gather each image's histograms too.
        types: ``[image]``, the defect type; None for a normal image, which has no defective pixel. By default an image
            is normal if its ground truth is None, and the others are of one type.
        memory_bytes: approximate memory. With more defective pixels than this allows, scores are rounded.
        block_pixels: normal pixels that are sorted at a time; by default a share of the memory.
        observe: is called with each image's position and the image, once.
        work: work of each image, e.g. its pixels, for the progress bar; by default all are equal.
        aupro, aupimo: definitions, see `zsad.evaluation.aupro.AUPRO` and `zsad.evaluation.aupimo.AUPIMO`.

    Raises:
        DataError: a map has a NaN or an infinite value.
    """
    if types is None:
        types = [None if pixel_image(images[index]).ground_truth is None else ANY for index in range(len(images))]
    defects = gather_defects(images, types, most=max(1, memory_bytes // BYTES_A_DEFECT))
    block = block_pixels or int(np.clip(memory_bytes // 16, 1, BLOCK_PIXELS))
    quantiles = memory_bytes // 4 // (BYTES_A_QUANTILE * max(1, len(images)))
    quantiles = int(np.clip(quantiles, LEAST_QUANTILES, MOST_QUANTILES)) if with_histograms else 0
    work = [1.0] * len(images) if work is None else work
    return _Pass(images, types, defects, block, quantiles, observe, work, aupro, aupimo).statistics()


class _Pass:
    """One pass over all images, the normal ones first, then one defect type after the other."""

    def __init__(
        self,
        images: PixelImages,
        types: Sequence[str | None],
        defects: Defects,
        block_pixels: int,
        quantiles: int,
        observe: Observer | None,
        work: Sequence[float],
        aupro: str,
        aupimo: str,
    ) -> None:
        self._images = images
        self._types = types
        self._defects = defects
        self._observe = observe
        self._work = work
        self._normal = NormalPixels(_counted_thresholds(defects), block_pixels) if defects.thresholds.size else None
        self._bins = (
            ImageBins(defects, self._normal.buckets, len(images), quantiles) if quantiles and self._normal else None
        )
        self._tail = NormalTail(sum(name is None for name in types))
        self._aupro, self._aupimo = aupro, AUPIMO[aupimo]
        self._linear = LinearThresholds(*_range(images), defects.regions) if aupro == LINEAR else None
        self._pimo: Pimo | InterpolatedPimo | None = None
        self._image_aupimo = np.full(len(images), np.nan)
        self._recalls: dict[int, np.ndarray] = {}
        self._total_normal = 0

    def statistics(self) -> PixelStatistics:
        groups = [None, *self._defects.by_type]
        counts: dict[str | None, NormalCounts] = {}
        with Meter("pixels", sum(self._work), len(self._images)) as meter:
            for name in groups:
                for index in [index for index, other in enumerate(self._types) if other == name]:
                    self._count(index)
                    meter.add(self._work[index])
                counts[name] = self._pop_counts()
                if name is None and any(other is None for other in self._types):
                    self._pimo = self._aupimo(self._tail)
        return self._put_together(counts)

    def _count(self, index: int) -> None:
        image = pixel_image(self._images[index])
        if self._observe is not None:
            self._observe(index, image)
        scores = finite_scores(image.anomaly_map)
        defective = self._defects.release(index, image)
        if defective is not None and image.ground_truth is not None:
            scores = scores[~image.ground_truth.ravel()]
        if self._normal is None:
            self._total_normal += scores.size
        else:
            scores = np.sort(scores)
            buckets = self._normal.buckets.of(scores)
            self._normal.add(scores, buckets)
            if self._bins is not None:
                self._bins.add(index, scores, buckets, defective)
        if self._types[index] is None:
            self._tail.add(scores)
        if self._linear is not None:
            self._linear.add(index, scores, defective)
        if self._pimo is not None and defective is not None:
            self._image_aupimo[index] = self._pimo.of(defective.scores)
            if self._bins is not None:
                self._recalls[index] = self._pimo.recalls(defective.scores)

    def _pop_counts(self) -> NormalCounts:
        if self._normal is None:
            total, self._total_normal = self._total_normal, 0
            return NormalCounts(np.zeros(0, np.int64), np.zeros(0, np.int64), total)
        counts = self._normal.pop_counts()
        if self._defects.exact:
            return counts
        # A level ends where the next begins.
        return NormalCounts(counts.from_threshold[1:], counts.from_threshold[:-1], counts.total)

    def _put_together(self, counts: Mapping[str | None, NormalCounts]) -> PixelStatistics:
        good = counts[None]
        linear = None if self._linear is None else self._linear.counts()
        every = functools.reduce(NormalCounts.plus, counts.values())
        by_type = {}
        for name, of_type in self._defects.by_type.items():
            of_name = np.array([other == name for other in self._types])
            # With a single type, all thresholds and images belong to it.
            normal = good.at(of_type.places).plus(counts[name].at(of_type.places)) if len(counts) > 2 else every
            of_them = of_name | np.array([other is None for other in self._types])
            by_type[name] = PixelRanking(
                *_ranked(of_type, normal),
                _mean(self._image_aupimo[of_name]),
                self._aupro,
                None if linear is None else linear.of_images(of_them).together(),
            )
        together = self._defects.together()
        pimo = None if self._pimo is None or not self._recalls else self._pimo
        return PixelStatistics(
            *_ranked(together, every),
            aupimo=_mean(self._image_aupimo),
            aupro=self._aupro,
            linear=None if linear is None else linear.together(),
            by_type=by_type,
            image_aupimo=self._image_aupimo,
            regions=self._defects.regions,
            exact=self._defects.exact,
            histograms=None
            if self._bins is None
            else self._bins.histograms(self._defects, self._types, pimo, self._recalls, self._aupro, linear),
            remark="" if self._pimo is None or not self._defects.regions.any() else self._pimo.remark,
        )


def _range(images: PixelImages) -> tuple[np.float32, np.float32]:
    """The least and the greatest score."""
    least, greatest = np.float32(np.inf), np.float32(-np.inf)
    for index in range(len(images)):
        scores = finite_scores(pixel_image(images[index]).anomaly_map)
        least, greatest = min(least, scores.min()), max(greatest, scores.max())
    return least, greatest


def _counted_thresholds(defects: Defects) -> np.ndarray:
    """The thresholds at which normal pixels are counted; after levels, the value just above the last one."""
    if defects.exact:
        return defects.thresholds
    return np.append(defects.thresholds, np.nextafter(defects.highest, np.float32(np.inf)))


def _ranked(defects: TypeCounts, normal: NormalCounts) -> tuple[Ranking, np.ndarray, np.ndarray | None]:
    true_positives = np.cumsum(defects.tied[::-1])
    return (
        Ranking(
            true_positives=true_positives,
            false_positives=normal.from_threshold[::-1],
            false_positives_above=normal.above[::-1],
            positives=np.asarray(true_positives[-1] if true_positives.size else 0),
            negatives=np.asarray(normal.total),
        ),
        _mean_of(defects.overlap, max(1, defects.regions)),
        None if defects.saturated is None or not defects.defects else _mean_of(defects.saturated, defects.defects),
    )


def _mean_of(gains: np.ndarray, number: int) -> np.ndarray:
    """The mean over regions of the share at or above each threshold, in descending order."""
    return np.cumsum(gains[::-1]) / number


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan
