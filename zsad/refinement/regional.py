"""Refinement region by region: outline each component of the thresholded map again, and keep only accepted outlines.

A new outline is a guess from the image alone. It replaces a component only if it still agrees with the map and follows
edges of the image; otherwise the component stays as it was, and the reason is recorded.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from zsad.refinement.base import Refinement, Refiner
from zsad.refinement.prompted import PromptedImage
from zsad.refinement.regions import (
    Box,
    Region,
    area_of,
    bounded_shape,
    box_around,
    pieces_touching,
    regions_to_outline,
    resized,
    resized_mask,
    share_of_area,
    slices,
    without_holes,
)

JUDGED_PIXELS = 1 << 20  # of a window at most, when an outline is judged by its edges and its contrast


class Rejection(NamedTuple):
    """Reason to reject an outline; both texts are empty if it is accepted.

    Attributes:
        cause: in fixed words, for counting.
        reason: a clause with the figures.
    """

    cause: str = ""
    reason: str = ""

    def __bool__(self) -> bool:
        return bool(self.cause)


class Outline(NamedTuple):
    """A proposed outline of one region.

    Attributes:
        window: the area of the image in which it was searched; it holds the region's box.
        mask: bool ``[bottom - top, right - left]`` of the window, or of the reduced window.
        failure: why there is no outline.
        details: facts about its origin, JSON; recorded with the region.
        is_judged: whether the mask is cleaned and ``failure`` is final, so that no further checks are needed.
    """

    window: Box
    mask: np.ndarray
    failure: Rejection = Rejection()
    details: Mapping[str, Any] = {}
    is_judged: bool = False


class RegionRefiner(Refiner):
    """Base class of refiners that outline one region at a time; a subclass implements `outlines`.

    The work on an image is bounded by its pixels, whatever the map is like: windows overlap, and thousands of
    components may exceed a bad threshold. Components of the highest scores come first; those beyond the bound stay as
    they are, with a reason.

    Class attributes:
        work_per_pixel: how many pixels may be worked on, for each pixel of the image.
        least_work: number of pixels that is always allowed, so that small images are not bounded.
    """

    work_per_pixel: ClassVar[float] = 8.0
    least_work: ClassVar[int] = 1 << 22

    min_area: float = Field(
        1e-4,
        ge=0,
        lt=1,
        description="Components, pieces and holes below this fraction of the image's area are dropped or filled, "
        "except the highest component; a patch of a 32 x 32 grid is 1e-3.",
    )
    min_area_ratio: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Least area of an accepted outline, relative to its component: a scratch is far thinner than the "
        "two patches that its component is wide.",
    )
    max_area_ratio: float = Field(
        4.0, ge=1, description="Greatest area of an accepted outline, relative to its component."
    )
    min_contrast_ratio: float = Field(
        0.75,
        ge=0,
        description="Least contrast of the map (mean inside minus mean outside) of an accepted outline, relative to "
        "its component.",
    )
    min_edge_ratio: float = Field(
        1.25,
        ge=0,
        description="Least mean gradient of the image along an accepted outline, relative to the mean around it; a "
        "random outline has 1.",
    )

    @abstractmethod
    def outlines(
        self,
        image: np.ndarray,
        anomaly_map: np.ndarray,
        threshold: float,
        regions: Sequence[Region],
        prompted: PromptedImage | None = None,
    ) -> Iterable[Outline]:
        """Propose an outline for each of ``regions``, in their order; there may be none.

        Args:
            image: uint8 RGB ``[height, width, 3]``.
            anomaly_map: float32 ``[height, width]``.
            threshold: threshold that made the regions.
            prompted: the image under a segmentation model, if the refiner uses one.
        """

    def work(self, region: Region, height: int, width: int) -> int:
        """Number of pixels processed for a region of an image of ``height x width``."""
        return area_of(region.box)

    def refine(
        self,
        image: np.ndarray,
        anomaly_map: np.ndarray,
        threshold: float,
        prompted: PromptedImage | None = None,
    ) -> Refinement:
        """Outline every region again and unite accepted outlines with the other components; see `Refiner.refine`."""
        regions = regions_to_outline(anomaly_map, threshold, self.min_area)
        count = self._affordable(regions, *anomaly_map.shape)
        mask = np.zeros(anomaly_map.shape, dtype=bool)
        records: list[dict[str, Any]] = []
        proposals = self.outlines(image, anomaly_map, threshold, regions[:count], prompted)
        for region, outline in zip(regions, proposals, strict=False):
            chosen, rejection = self._chosen(image, anomaly_map, region, outline)
            mask[slices(outline.window)] |= chosen
            records.append({**outline.details, **_record(region, rejection, int(np.count_nonzero(chosen)))})
        for region in regions[count:]:
            mask[slices(region.box)] |= region.mask
            records.append(_record(region, _beyond(count, len(regions)), region.area))
        return Refinement(mask, records)

    def _affordable(self, regions: Sequence[Region], height: int, width: int) -> int:
        """Number of regions, at least one, within the bound of work."""
        bound = max(self.least_work, self.work_per_pixel * height * width)
        work = np.cumsum([self.work(region, height, width) for region in regions])
        return max(min(1, len(regions)), int(np.searchsorted(work, bound, side="right")))

    def _chosen(
        self, image: np.ndarray, anomaly_map: np.ndarray, region: Region, outline: Outline
    ) -> tuple[np.ndarray, Rejection]:
        """The final mask in an outline's window, bool ``[height, width]``, and the reason for rejection, if any."""
        component = region.within(outline.window)
        if outline.failure or outline.is_judged:
            return (component if outline.failure else outline.mask), outline.failure
        window = slices(outline.window)
        scale = outline.mask.size / component.size
        refined = self.cleaned(
            outline.mask, resized_mask(component, outline.mask.shape), round(scale * anomaly_map.size)
        )
        height, width = refined.shape
        shape = bounded_shape(height, width, JUDGED_PIXELS)
        rejection = self.rejection(
            resized(image[window], shape),
            resized(anomaly_map[window], shape),
            resized_mask(component, shape),
            resized_mask(refined, shape),
        )
        return (component if rejection else resized_mask(refined, component.shape)), rejection

    def cleaned(self, mask: np.ndarray, component: np.ndarray, image_area: int) -> np.ndarray:
        """The pieces of an outline that touch the component, without crumbs and small holes.

        Args:
            mask: bool ``[height, width]`` of a window.
            component: bool ``[height, width]``.
            image_area: pixels of the whole image.
        """
        min_pixels = share_of_area(self.min_area, 1, image_area)
        pieces = pieces_touching(mask, component, min_pixels)
        if (box := box_around(pieces)) is not None:  # holes lie within; the rest of a large image would cost time
            pieces[slices(box)] = without_holes(pieces[slices(box)], min_pixels)
        return pieces

    def rejection(
        self, image: np.ndarray, anomaly_map: np.ndarray, component: np.ndarray, refined: np.ndarray
    ) -> Rejection:
        """The reason to reject ``refined`` in place of ``component``, if any.

        Args:
            image: uint8 ``[height, width, 3]`` of the window.
            anomaly_map: float ``[height, width]`` of the window.
            component: bool ``[height, width]``, not empty.
            refined: bool ``[height, width]``.
        """
        rejection = self.size_rejection(int(np.count_nonzero(refined)), int(np.count_nonzero(component)))
        if rejection:
            return rejection
        if map_contrast(anomaly_map, refined) < self.min_contrast_ratio * map_contrast(anomaly_map, component):
            reason = f"the map's contrast falls below {self.min_contrast_ratio:g} of the component's"
            return Rejection("low contrast in the map", reason)
        if self.min_edge_ratio > 0 and not edge_ratio(image, refined) > self.min_edge_ratio:
            least = self.min_edge_ratio
            reason = f"the outline follows no edge of the image (mean gradient below {least:g} of that around)"
            return Rejection("no edge in the image", reason)
        return Rejection()

    def size_rejection(self, area: int, component_area: int) -> Rejection:
        """The reason to reject an outline by its area in pixels, if any."""
        area_ratio = area / component_area
        if area_ratio == 0:
            return Rejection("empty", "the outline is empty")
        if area_ratio < self.min_area_ratio:
            reason = f"the outline's area is {area_ratio:.2g} of the component's, below {self.min_area_ratio:g}"
            return Rejection("too small", reason)
        if area_ratio > self.max_area_ratio:
            reason = f"the outline's area is {area_ratio:.2g} of the component's, above {self.max_area_ratio:g}"
            return Rejection("too large", reason)
        return Rejection()


def map_contrast(anomaly_map: np.ndarray, mask: np.ndarray) -> float:
    """Mean of the map inside ``mask`` minus its mean outside; 0 where either is empty."""
    inside = np.count_nonzero(mask)
    if inside in (0, mask.size):
        return 0.0
    return float(anomaly_map[mask].mean(dtype=np.float64) - anomaly_map[~mask].mean(dtype=np.float64))


def edge_ratio(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean gradient magnitude along the outline of ``mask``, relative to that of the whole image.

    The gradient is Sobel's after a Gaussian of 1 pixel, of the steepest channel. The outline is the pixels on both
    sides of the boundary; the image's own border is no boundary.

    Args:
        image: uint8 ``[height, width, 3]``.
        mask: bool ``[height, width]``.

    Returns:
        1 for a random outline, more if it follows edges; 0 if there is no outline or no gradient at all.
    """
    boundary = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), dtype=np.uint8)) > 0
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    magnitude = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)).max(axis=2)
    mean = float(magnitude.mean(dtype=np.float64))
    if mean == 0 or not boundary.any():
        return 0.0
    return float(magnitude[boundary].mean(dtype=np.float64)) / mean


def _beyond(count: int, regions: int) -> Rejection:
    reason = f"the image has {regions} components, and an image of its size allows work for the highest {count}"
    return Rejection("beyond the bound of work", reason)


def _record(region: Region, rejection: Rejection, area: int) -> dict[str, Any]:
    return {
        "box": list(region.box),
        "peak": list(region.peak),
        "score": region.score,
        "component_area": region.area,
        "area": area,
        "accepted": not rejection,
        "cause": rejection.cause,
        "reason": rejection.reason,
    }
