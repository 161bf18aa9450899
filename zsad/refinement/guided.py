"""Refinement by a guided filter: the map is smoothed along the image's edges and never across them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from zsad.refinement.prompted import PromptedImage
from zsad.refinement.regional import Outline, RegionRefiner
from zsad.refinement.regions import Box, Region, share_of_short_side, slices, widened


class Guided(RegionRefiner):
    """Filter the map with the photograph as the guide, and threshold it again.

    A component on the patch grid is blurred by a patch or two. In every window the filter fits the map by an affine
    function of the colour, so that pixels of one colour share one value: a defect takes the mean of the map over its
    own pixels, its surroundings the lower mean over theirs, and the map's threshold then falls on the edge between
    them. The windows must be wider than the blur for that. Where the colour explains nothing the filter only smooths
    the map; such an outline follows no edge and is not accepted.
    """

    summary: ClassVar[str] = "Edge-aware smoothing of the map with the image as guide, then the map's threshold."
    reference: ClassVar[str] = "He, Sun and Tang, Guided Image Filtering, IEEE TPAMI 35(6), 2013, eqs. 19-21."

    radius: float = Field(
        1 / 16,
        gt=0,
        le=0.5,
        description="Radius of the filter's windows as a fraction of the image's shorter side: the default is two "
        "patches of a 32 x 32 grid, as far as the map's outlines are off.",
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
        windows = [widened(region.box, radius, height, width) for region in regions]
        filtered = np.full(anomaly_map.shape, -np.inf)
        # A filtered value depends on what lies within two radii, so that the rest of the image can be left out.
        needed = slices(widened(_hull(windows), 2 * radius, height, width))
        filtered[needed] = guided_filter(image[needed] / 255.0, anomaly_map[needed], radius, self.eps)
        for window in windows:
            yield Outline(window, filtered[slices(window)] > threshold)


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
    size = (2 * radius + 1, 2 * radius + 1)

    def box_sum(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, cv2.CV_64F, size, normalize=False, borderType=cv2.BORDER_CONSTANT)

    pixels = box_sum(np.ones(source.shape))

    def mean(values: np.ndarray) -> np.ndarray:
        return box_sum(values) / pixels

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
    return sum(mean(a[..., i]) * channels[i] for i in range(3)) + mean(b)


def _hull(boxes: Sequence[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
