"""Refinement by a guided filter: the map is smoothed along the image's edges and never across them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from zsad.refinement.prompted import PromptedImage
from zsad.refinement.regional import Outline, RegionRefiner
from zsad.refinement.regions import Box, Region, area_of, resized, share_of_short_side, shifted, slices, widened

WORKING_RADIUS = 32  # pixels; twice this radius is halved, and so on
TILE = 640  # pixels a side that are filtered at a time, without the margin


class Guided(RegionRefiner):
    """Filter the map with the photograph as the guide, and threshold it again.

    A component on the patch grid is blurred by a patch or two. In every window the filter fits the map by an affine
    function of the colour, so that pixels of one colour share one value: a defect takes the mean of the map over its
    own pixels, its surroundings the lower mean over theirs, and the map's threshold then falls on the edge between
    them. The windows must be wider than the blur for that. Where the colour explains nothing, the filter only smooths
    the map; such an outline follows no edge and is rejected.
    """

    summary: ClassVar[str] = "Edge-aware smoothing of the map with the image as guide, then the map's threshold."
    reference: ClassVar[str] = "He, Sun and Tang, Guided Image Filtering, IEEE TPAMI 35(6), 2013, eqs. 19-21."

    radius: float = Field(
        1 / 16,
        gt=0,
        le=0.5,
        description="Radius of the filter's windows as a fraction of the image's shorter side: the default is two "
        "patches of a 32 x 32 grid, the error of the map's outlines.",
    )
    eps: float = Field(
        1e-4,
        gt=0,
        description="Regularisation, in squared intensity of a guide in [0, 1]: texture of a standard deviation well "
        "below its root (1 % of the range) counts as flat.",
    )

    def outlines(
        self,
        image: np.ndarray,
        anomaly_map: np.ndarray,
        threshold: float,
        regions: Sequence[Region],
        prompted: PromptedImage | None = None,
    ) -> Iterator[Outline]:
        """Threshold the filtered map around each region; see `RegionRefiner.outlines`."""
        if not regions:
            return
        height, width = anomaly_map.shape
        radius = share_of_short_side(self.radius, height, width)
        windows = [self._window(region, height, width) for region in regions]
        hull = _hull(windows)
        above = np.zeros(anomaly_map.shape, dtype=bool)
        # A filtered value depends only on pixels within two radii, so that the rest of the image can be left out.
        needed = slices(widened(hull, 2 * radius, height, width))
        above[needed] = filtered_above(image[needed], anomaly_map[needed], radius, self.eps, threshold)
        for window in windows:
            yield Outline(window, above[slices(window)])

    def work(self, region: Region, height: int, width: int) -> int:
        """Number of pixels in which the outline of a region is judged; the filter itself runs once per image."""
        return area_of(self._window(region, height, width))

    def _window(self, region: Region, height: int, width: int) -> Box:
        return widened(region.box, share_of_short_side(self.radius, height, width), height, width)


def filtered_above(image: np.ndarray, anomaly_map: np.ndarray, radius: int, eps: float, threshold: float) -> np.ndarray:
    """Pixels where the map, filtered with the image as its guide, exceeds a threshold; in bounded memory.

    With windows of a radius up to `WORKING_RADIUS` pixels, tiles with a margin of two radii are filtered, which gives
    the same result as the whole. With larger windows the fits are computed on images reduced by an integer factor, and
    applied at full size: the fast guided filter (He and Sun, arXiv 1505.00996), which hardly differs if windows have
    many pixels.

    Args:
        image: uint8 RGB ``[height, width, 3]``.
        anomaly_map: float ``[height, width]``.
        radius: pixels.
        eps: see `guided_filter`.

    Returns:
        bool ``[height, width]``.
    """
    height, width = anomaly_map.shape
    step = max(1, radius // WORKING_RADIUS)
    if step == 1:
        above = np.empty(anomaly_map.shape, dtype=bool)
        for tile, fits in _tile_fits(image, anomaly_map, radius, eps):
            above[slices(tile)] = applied(fits, image[slices(tile)] / 255.0) > threshold
        return above
    small = max(1, round(height / step)), max(1, round(width / step))
    fits = np.empty((*small, 4), dtype=np.float32)
    found = _tile_fits(resized(image, small), resized(anomaly_map, small), max(1, round(radius / step)), eps)
    for tile, of_tile in found:
        fits[slices(tile)] = of_tile
    return _applied_above(fits, image, threshold)


def _tile_fits(image: np.ndarray, source: np.ndarray, radius: int, eps: float) -> Iterator[tuple[Box, np.ndarray]]:
    """The mean fits of an image (uint8 RGB) tile by tile, as those of the whole: float64 ``[height, width, 4]``."""
    height, width = source.shape
    for tile in tiles(height, width):
        around = widened(tile, 2 * radius, height, width)
        fits = mean_fits(image[slices(around)] / 255.0, source[slices(around)], radius, eps)
        yield tile, fits[slices(shifted(tile, around))]


def _applied_above(fits: np.ndarray, image: np.ndarray, threshold: float) -> np.ndarray:
    """Pixels where the fits, interpolated linearly to the size of the image, exceed the threshold."""
    height, width = image.shape[:2]
    rows, columns = fits.shape[:2]
    above = np.empty((height, width), dtype=bool)
    for tile in tiles(height, width):
        left, top, right, bottom = tile
        # OpenCV accepts at most 32767 pixels a side, so only the fits around the tile are passed.
        near = slice(max(0, top * rows // height - 2), bottom * rows // height + 3)
        along = slice(max(0, left * columns // width - 2), right * columns // width + 3)
        place = np.array(
            [
                [columns / width, 0, (left + 0.5) * columns / width - 0.5 - along.start],
                [0, rows / height, (top + 0.5) * rows / height - 0.5 - near.start],
            ]
        )
        fit = cv2.warpAffine(
            np.ascontiguousarray(fits[near, along]),
            place,
            (right - left, bottom - top),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        guide = image[slices(tile)].astype(np.float32) / 255
        above[slices(tile)] = applied(fit, guide) > threshold
    return above


def tiles(height: int, width: int) -> Iterator[Box]:
    """Boxes of at most `TILE` pixels a side that cover an image once; one box if the image is hardly larger."""
    for top, bottom in _spans(height):
        for left, right in _spans(width):
            yield left, top, right, bottom


def _spans(length: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, length, max(1, round(length / TILE)) + 1).astype(int).tolist()
    return list(pairwise(edges))


def guided_filter(guide: np.ndarray, source: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """Guided filter with a colour guide (He, Sun and Tang 2013, eqs. 19-21).

    In each window ``w_k`` the source is fitted by ``a_k . I + b_k`` with ``a_k = (Sigma_k + eps U)^-1 cov_k(I, p)``
    and ``b_k = mean_k(p) - a_k . mean_k(I)``; the output averages the fits of all windows that hold the pixel. Windows
    are cut at the image's border. The cost does not depend on the radius.

    Args:
        guide: float64 ``I``, ``[height, width, 3]``, in [0, 1].
        source: float ``p``, ``[height, width]``.
        radius: windows have ``2 radius + 1`` pixels a side.
        eps: regularisation, greater than 0, in squared units of the guide.

    Returns:
        float64 ``[height, width]``.
    """
    return applied(mean_fits(guide, source, radius, eps), guide)


def applied(fits: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Apply mean fits ``[height, width, 4]`` to a guide ``[height, width, 3]``: eq. 21, ``[height, width]``."""
    filtered: np.ndarray = (fits[..., :3] * guide).sum(axis=-1) + fits[..., 3]
    return filtered


def mean_fits(guide: np.ndarray, source: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """The mean of ``a_k`` and of ``b_k`` over the windows that hold a pixel, float64 ``[height, width, 4]``.

    See `guided_filter`, also for the arguments.
    """
    size = (2 * radius + 1, 2 * radius + 1)

    def box_sum(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, cv2.CV_64F, size, normalize=False, borderType=cv2.BORDER_CONSTANT)

    pixels = box_sum(np.ones(source.shape))

    def mean(values: np.ndarray) -> np.ndarray:
        means: np.ndarray = box_sum(values) / pixels
        return means

    channels = [np.ascontiguousarray(guide[..., channel], dtype=np.float64) for channel in range(3)]
    p = source.astype(np.float64)
    mean_guide, mean_p = [mean(channel) for channel in channels], mean(p)
    sigma, covariance = np.empty((*p.shape, 3, 3)), np.empty((*p.shape, 3, 1))
    for i in range(3):
        covariance[..., i, 0] = mean(channels[i] * p) - mean_guide[i] * mean_p
        for j in range(i, 3):
            sigma[..., i, j] = sigma[..., j, i] = mean(channels[i] * channels[j]) - mean_guide[i] * mean_guide[j]
    a = np.linalg.solve(sigma + eps * np.eye(3), covariance)[..., 0]
    b = mean_p - sum(a[..., i] * mean_guide[i] for i in range(3))
    return np.stack([*(mean(a[..., i]) for i in range(3)), mean(b)], axis=-1)


def _hull(boxes: Sequence[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
