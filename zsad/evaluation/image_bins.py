"""Each image's pixels in coarse bins common to the category: what a bootstrap over images needs of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zsad.evaluation.aupimo import Pimo, PimoBins
from zsad.evaluation.bootstrap import ImageHistograms
from zsad.evaluation.buckets import Buckets
from zsad.evaluation.defects import Defects, PixelImage, defective_pixels


class ImageBins:
    """Counts images in bins, of whole buckets where these are fine enough.

    There is a bin for every quantile of the defective pixels, and of these with every region weighing alike, so that
    the binned curves pass through nearly exact points, and between two of these lies at most one in ``quantiles`` of
    the pixels and of the regions, which bounds what binning can change.

    Args:
        defects: one pixel or more.
        buckets: of the scores of the category.
        images: how many there are.
        quantiles: 2 or more.
    """

    def __init__(self, defects: Defects, buckets: Buckets, images: int, quantiles: int) -> None:
        together = defects.together()
        edges = np.concatenate([_quantiles(together.tied, quantiles), _quantiles(together.overlap, quantiles)])
        scores = np.unique(defects.thresholds[edges])
        places = np.unique(buckets.of(scores))
        self._is_fine = places.size == scores.size < defects.thresholds.size
        if self._is_fine:
            starts = np.unique(np.concatenate([places, places + 1]))
            self._bin_of_bucket = np.searchsorted(starts, np.arange(buckets.count), side="right").astype(np.int16)
        else:  # few scores, each with a bin of its own; or some so high that little is left for the others
            starts = np.unique(np.concatenate([scores, np.nextafter(scores, np.float32(np.inf))]))
        self._starts = starts
        self._count = starts.size + 1
        self._tables = np.zeros((4, images, self._count))

    def add(self, index: int, image: PixelImage, buckets: np.ndarray, defective: np.ndarray | None) -> None:
        """Count an image with the buckets of its pixels, ``[pixel]``; ``defective`` is None if it has no defect."""
        normal, positives, overlap, saturated = self._tables[:, index]
        bins = self._bins(image.anomaly_map.ravel(), buckets)
        normal += np.bincount(bins, minlength=self._count)
        if defective is None or (pixels := defective_pixels(image)) is None:
            return
        bins = bins[defective]
        positives += np.bincount(bins, minlength=self._count)
        normal -= positives
        overlap += np.bincount(bins, pixels.overlap, self._count)
        if pixels.saturated is not None:
            saturated += np.bincount(bins, pixels.saturated, self._count)

    def _bins(self, scores: np.ndarray, buckets: np.ndarray) -> np.ndarray:
        if self._is_fine:
            return self._bin_of_bucket.take(buckets)
        return np.searchsorted(self._starts, scores.astype(np.float32, copy=False), side="right")

    def histograms(
        self,
        defects: Defects,
        types: Sequence[str | None],
        pimo: Pimo | None,
        recalls: Mapping[int, np.ndarray],
    ) -> ImageHistograms:
        """What was counted, in descending bins.

        Args:
            types: ``[image]``, type of defect; None for a good image.
            pimo: None if there is not a good image and a defective one.
            recalls: at the thresholds of ``pimo``, by image.
        """
        normal, positives, overlap, saturated = self._tables[:, :, ::-1]
        return ImageHistograms(
            positives=positives,
            negatives=normal,
            overlap=overlap,
            saturated=saturated if defects.defects.any() else None,
            regions=defects.regions,
            defects=defects.defects,
            is_good=np.array([name is None for name in types], bool),
            pimo=None
            if pimo is None
            else PimoBins(pimo.rates(), np.array([recalls[index] for index in sorted(recalls)])),
            has_pimo=np.isin(np.arange(len(types)), list(recalls)),
        )


def _quantiles(weights: np.ndarray, number: int) -> np.ndarray:
    """Positions at which the sum of the weights passes each quantile of it."""
    covered = np.cumsum(weights)
    return np.minimum(np.searchsorted(covered, np.linspace(0.0, covered[-1], number + 1)), weights.size - 1)
