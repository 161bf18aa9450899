"""The defect region of an image as a weight of each patch: by a mask, by an anomaly map, or by both.

The weight of a patch is the share of it that lies under the mask, times how far its map value is above the median of
the image's map, at least 0; where that is 0 everywhere, the share alone. Without a mask, and with one that marks
nothing, the patches with the highest hundredth of the map take its place; without a map as well, all patches.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from zsad.errors import DataError
from zsad.files.features import FeatureReader
from zsad.files.masks import MaskReader
from zsad.files.scores import ScoreReader
from zsad.maps import at_image_size

PEAK = 0.01  # share of the patches used as the defect region without a mask

Place = Literal["mask", "peak", "everywhere"]


class Region(NamedTuple):
    """The assumed defect region of an image.

    Attributes:
        weights: float64 ``[row, column]``, at least 0, and above 0 for some patch.
        place: its source: the mask; the peak of the map; or nothing, so that all patches are equal.
    """

    weights: np.ndarray
    place: Place


class Regions:
    """The regions of the images of a feature file.

    Args:
        features: the images, with the patch grids that the weights are for.
        scores: maps of the same images, in the same order, on any grid; None for none.
        masks: of the same images, likewise; None for none.

    Raises:
        DataError: the files do not show the same images, or the method of the scores does not localise.
    """

    def __init__(self, features: FeatureReader, scores: ScoreReader | None, masks: MaskReader | None) -> None:
        for reader in (scores, masks):
            if reader is not None:
                check_same_images(features, reader)
        if scores is not None and not scores.localises:
            raise DataError(
                f"{scores.path} is of a method that scores whole images and does not localise defects; choose another "
                "method, or embedding: image"
            )
        self._features, self._scores, self._masks = features, scores, masks

    def region(self, index: int) -> Region:
        """The region of one image.

        Raises:
            DataError: its map has values that are not finite.
        """
        rows, columns = self._features.grid_sizes[index].tolist()
        anomaly_map = None if self._scores is None else self._scores.anomaly_map(index)
        if anomaly_map is not None and not np.isfinite(anomaly_map).all():
            raise DataError(
                f"the map of {self._features.image_ids[index]} in {self._path_of_scores()} is not finite; delete the "
                "file and run again"
            )
        mask = None if self._masks is None else self._masks.mask(index)
        return region_of(anomaly_map, mask, rows, columns)

    def _path_of_scores(self) -> str:
        return "memory" if self._scores is None else str(self._scores.path)


def region_of(anomaly_map: np.ndarray | None, mask: np.ndarray | None, rows: int, columns: int) -> Region:
    """The region of an image on a grid of ``rows x columns`` patches, see this module.

    Args:
        anomaly_map: float ``[row, column]``, finite, on any grid, greater for more anomalous; None for none. It is
            resampled as every stage does, see `zsad.maps.at_image_size`.
        mask: bool ``[height, width]`` at the image's size; None for none.
    """
    on_grid = None if anomaly_map is None else _resampled(anomaly_map, rows, columns)
    if mask is not None and mask.any():
        return Region(_weighted(share_of_patches(mask, rows, columns), on_grid), "mask")
    if on_grid is None:
        return Region(np.ones((rows, columns)), "everywhere")
    is_flat = bool(on_grid.min() == on_grid.max())
    return Region(_weighted(_highest(on_grid), on_grid), "everywhere" if is_flat else "peak")


def share_of_patches(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The share of each patch that a mask covers, float64 ``[row, column]`` in ``[0, 1]``.

    Args:
        mask: bool ``[height, width]``, with a pixel that is marked; the grid covers it edge to edge.
    """
    height, width = mask.shape
    down, across = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = down[0], down[-1] + 1, across[0], across[-1] + 1
    marked = mask[top:bottom, left:right].astype(np.float64)
    shares: np.ndarray = _overlaps(rows, height)[:, top:bottom] @ marked @ _overlaps(columns, width)[:, left:right].T
    return shares


@lru_cache(maxsize=64)
def _overlaps(patches: int, pixels: int) -> np.ndarray:
    """The share of each patch that each pixel takes along one axis, float64 ``[patch, pixel]``; a patch's sum is 1."""
    starts, ends = (np.arange(patches) * pixels)[:, None], (np.arange(1, patches + 1) * pixels)[:, None]
    pixel = np.arange(pixels) * patches  # in units in which patches begin and end at whole numbers
    common = np.minimum(ends, pixel + patches) - np.maximum(starts, pixel)
    shares: np.ndarray = np.maximum(common, 0) / pixels
    return shares


def _resampled(anomaly_map: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """float64 ``[row, column]``."""
    is_same = anomaly_map.shape == (rows, columns)
    on_grid: np.ndarray = anomaly_map if is_same else at_image_size(anomaly_map, rows, columns)
    return on_grid.astype(np.float64)


def _weighted(shares: np.ndarray, on_grid: np.ndarray | None) -> np.ndarray:
    """Shares of patches, times the height of their map values above its median; the shares if that is always 0."""
    if on_grid is None:
        return shares
    weights = shares * np.maximum(on_grid - np.median(on_grid), 0)
    return weights if weights.any() else shares


def _highest(on_grid: np.ndarray) -> np.ndarray:
    """1 for the patches with the highest values, at least one, including ties with the last; 0 for others."""
    count = math.ceil(PEAK * on_grid.size - 1e-9)
    lowest = np.partition(on_grid.ravel(), -count)[-count]
    is_high: np.ndarray = on_grid >= lowest
    return is_high.astype(np.float64)


def check_same_images(features: FeatureReader, other: ScoreReader | MaskReader) -> None:
    """Check that scores or masks are of the images of a feature file, in its order.

    Raises:
        DataError: they are not.
    """
    known = features.provenance.get("images_sha256"), other.provenance.get("images_sha256")
    is_other = None not in known and known[0] != known[1]  # a different image of the same name
    if other.image_ids != features.image_ids or is_other:
        raise DataError(
            f"{other.path} and {features.path} do not show the same images in the same order; delete both and run again"
        )
