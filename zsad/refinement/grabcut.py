"""Refinement by GrabCut: colour models of the defect and of its surroundings, and a minimum cut between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from zsad.refinement.prompted import PromptedImage
from zsad.refinement.regional import Outline, RegionRefiner, Rejection
from zsad.refinement.regions import (
    Box,
    Region,
    area_of,
    bounded_shape,
    resized,
    resized_mask,
    share_of_short_side,
    slices,
    widened,
)

GAUSSIANS = 5  # in each of OpenCV's two colour models
MIN_SAMPLES = 2 * GAUSSIANS


class GrabCut(RegionRefiner):
    """Cut each region out of a window around it, starting from labels by the map.

    Levels are fractions of the map's range within the window, so that the unit of the map and its offset do not matter:
    the top of a component is certainly defect, other values above the threshold probably; low values of the map are
    certainly background, the rest probably.
    """

    summary: ClassVar[str] = "GrabCut around each region, started from the map's high and low values."
    work_per_pixel: ClassVar[float] = 1 / 16
    least_work: ClassVar[int] = 1 << 17
    reference: ClassVar[str] = "Rother, Kolmogorov and Blake, GrabCut, ACM TOG 23(3), 2004; OpenCV's implementation."

    margin: float = Field(
        1 / 16,
        gt=0,
        le=0.5,
        description="Surroundings of a component that are used, as a fraction of the image's shorter side: the "
        "default is two patches of a 32 x 32 grid.",
    )
    sure_foreground: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Certainly defect: values of a component at or above this fraction of the way from the threshold "
        "to its peak.",
    )
    sure_background: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Certainly background: values at or below this fraction of the way from the window's lowest map "
        "value to the threshold.",
    )
    max_pixels: int = Field(
        65536,
        ge=1024,
        le=1 << 22,
        description="Greatest number of pixels of a cut; a larger window is reduced, and the outline enlarged, because "
        "the time grows faster than the pixels: 1024 x 1024 take minutes.",
    )
    iterations: int = Field(5, ge=1, le=50, description="Rounds of fitting the colour models and cutting.")

    def outlines(
        self,
        image: np.ndarray,
        anomaly_map: np.ndarray,
        threshold: float,
        regions: Sequence[Region],
        prompted: PromptedImage | None = None,
    ) -> Iterator[Outline]:
        """Cut each region out of its window; see `RegionRefiner.outlines`."""
        for region in regions:
            window = self._window(region, *anomaly_map.shape)
            view = slices(window)
            shape = bounded_shape(window[3] - window[1], window[2] - window[0], self.max_pixels)
            component = resized_mask(region.within(window), shape)
            labels = self.initial_labels(resized(anomaly_map[view], shape), component, threshold)
            yield self._cut(np.ascontiguousarray(resized(image[view], shape)), labels, window)

    def work(self, region: Region, height: int, width: int) -> int:
        """Number of pixels that are cut for a region."""
        return min(self.max_pixels, area_of(self._window(region, height, width)))

    def _window(self, region: Region, height: int, width: int) -> Box:
        return widened(region.box, share_of_short_side(self.margin, height, width), height, width)

    def initial_labels(self, anomaly_map: np.ndarray, component: np.ndarray, threshold: float) -> np.ndarray:
        """OpenCV's four GrabCut labels, uint8 ``[height, width]`` of the window.

        Args:
            anomaly_map: float ``[height, width]`` of the window.
            component: bool ``[height, width]``, one component of ``anomaly_map > threshold``, or a reduced one, in
                which means of areas need not exceed the threshold.
        """
        floor, peak = anomaly_map.min(), anomaly_map[component].max()
        low = floor + self.sure_background * (threshold - floor)
        # The cut needs a certain pixel of each class; rounding must not lift this level above the peak.
        high = min(peak, threshold + self.sure_foreground * (peak - threshold))
        labels = np.full(anomaly_map.shape, cv2.GC_PR_BGD, dtype=np.uint8)
        labels[anomaly_map <= low] = cv2.GC_BGD
        labels[(anomaly_map > threshold) | component] = cv2.GC_PR_FGD
        labels[component & (anomaly_map >= high)] = cv2.GC_FGD
        return labels

    def _cut(self, image: np.ndarray, labels: np.ndarray, window: Box) -> Outline:
        foreground = _is_foreground(labels)
        failure = _unfitness(image, foreground)
        if failure:
            return Outline(window, foreground, failure)
        cv2.setRNGSeed(0)  # k-means starts the colour models from random pixels
        background_model, foreground_model = np.zeros((1, 13 * GAUSSIANS)), np.zeros((1, 13 * GAUSSIANS))
        no_box = (0, 0, 0, 0)  # the labels are enough
        cut, *_ = cv2.grabCut(
            image, labels, no_box, background_model, foreground_model, self.iterations, cv2.GC_INIT_WITH_MASK
        )
        return Outline(window, _is_foreground(cut))


def _is_foreground(labels: np.ndarray) -> np.ndarray:
    foreground: np.ndarray = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return foreground


def _unfitness(image: np.ndarray, foreground: np.ndarray) -> Rejection:
    """The reason why colour models cannot be fitted, if so."""
    samples = np.count_nonzero(foreground)
    if samples < MIN_SAMPLES:
        reason = f"the component has {samples} pixels, too few for a colour model ({MIN_SAMPLES})"
        return Rejection("no colour model", reason)
    if foreground.size - samples < MIN_SAMPLES:
        reason = f"the component leaves fewer than {MIN_SAMPLES} pixels of background around it"
        return Rejection("no colour model", reason)
    if (image == image[0, 0]).all():
        return Rejection("no colour model", "the image has one colour there")
    return Rejection()
