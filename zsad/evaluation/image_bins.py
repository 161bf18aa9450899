"""Histograms of each image's pixels over coarse bins common to the category, for the bootstrap over images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zsad.evaluation.aupimo import InterpolatedPimo, Pimo, PimoBins
from zsad.evaluation.bootstrap import ImageHistograms
from zsad.evaluation.buckets import Buckets
from zsad.evaluation.defects import DefectivePixels, Defects
from zsad.evaluation.linear_thresholds import LinearCounts


class ImageBins:
    """Counts images in bins, of whole buckets where these are fine enough.

    There is a bin for every quantile of the defective pixels, once with equal pixels and once with equal regions, so
    that the binned curves pass through nearly exact points. Between two of these lies at most one in ``quantiles`` of
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
        else:  # few scores, each with its own bin; or some so high that few bins are left for the others
            starts = np.unique(np.concatenate([scores, np.nextafter(scores, np.float32(np.inf))]))
        self._starts = starts
        self._buckets = buckets
        self._count = starts.size + 1
        self._tables = np.zeros((4, images, self._count))

    def add(self, index: int, normal: np.ndarray, buckets: np.ndarray, defective: DefectivePixels | None) -> None:
        """Count an image.

        Args:
            normal: float32 ``[pixel]``, ascending scores of its normal pixels.
            buckets: ``[pixel]``, those of these scores.
            defective: its defective pixels; None if it has none.
        """
        of_normal, positives, overlap, saturated = self._tables[:, index]
        ascending = buckets if self._is_fine else normal
        lower = np.searchsorted(ascending, self._starts, side="left")
        of_normal += np.diff(lower, prepend=0, append=normal.size)
        if defective is None:
            return
        values = self._buckets.of(defective.scores) if self._is_fine else defective.scores
        bins = np.searchsorted(self._starts, values, side="right")
        positives += np.bincount(bins, minlength=self._count)
        overlap += np.bincount(bins, defective.overlap, self._count)
        if defective.saturated is not None:
            saturated += np.bincount(bins, defective.saturated, self._count)

    def histograms(
        self,
        defects: Defects,
        types: Sequence[str | None],
        pimo: Pimo | InterpolatedPimo | None,
        recalls: Mapping[int, np.ndarray],
        aupro: str,
        linear: LinearCounts | None,
    ) -> ImageHistograms:
        """The counts in descending bins.

        Args:
            types: ``[image]``, defect type; None for a normal image.
            pimo: None unless there are both normal and defective images.
            recalls: at the thresholds of ``pimo``, by image.
            aupro, linear: as of `ImageHistograms`.
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
            else PimoBins(
                pimo.rates(), np.array([recalls[index] for index in sorted(recalls)]), interpolated=pimo.interpolated
            ),
            has_pimo=np.isin(np.arange(len(types)), list(recalls)),
            aupro=aupro,
            linear=linear,
        )


def _quantiles(weights: np.ndarray, number: int) -> np.ndarray:
    """Positions at which the sum of the weights passes each quantile of it."""
    covered = np.cumsum(weights)
    return np.minimum(np.searchsorted(covered, np.linspace(0.0, covered[-1], number + 1)), weights.size - 1)
