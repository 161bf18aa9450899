"""Prompts for a segmentation model, from one component of a thresholded anomaly map."""

from __future__ import annotations

import cv2
import numpy as np
from pydantic import Field

from zsad.refinement.regions import Region, share_of_short_side, slices, widened
from zsad.registry import Options
from zsad.segmentation.base import MASK_PROMPT_RANGE, Prompt

LEAST_HEIGHT = 0.5  # of a point inside, as a share of the way from the threshold to the peak
DEPTH_WEIGHT = 0.25  # of the distance from the component's border against the height of the map
MASK_PROMPT_SIDE = 256  # input size of the models; a finer guess would be reduced to it


class PromptOptions(Options):
    """Options of the prompts for a component."""

    box_margin: float = Field(
        1 / 128,
        ge=0,
        le=0.5,
        description="Padding of the box around a component, as a fraction of the shorter side of the image or crop.",
    )
    positive_points: int = Field(
        1, ge=0, le=3, description="Peaks of the map within the component that are given as points inside; 0 to 3."
    )
    negative_points: int = Field(
        2, ge=0, le=16, description="Nearby places of low map values that are given as points outside."
    )
    surroundings: float = Field(
        1 / 8,
        gt=0,
        le=0.5,
        description="Greatest distance of points outside from the component, as a fraction of the shorter side of "
        "the image or crop.",
    )
    mask_prompt: bool = Field(True, description="Whether the map itself is given as a first guess of the mask.")


def prompt_of(region: Region, anomaly_map: np.ndarray, threshold: float, options: PromptOptions) -> Prompt:
    """The prompt of one component, in pixels of the map.

    Args:
        region: a component of ``anomaly_map > threshold``.
        anomaly_map: float ``[height, width]``.
    """
    height, width = anomaly_map.shape
    inside = interior_peaks(region, anomaly_map, threshold, options.positive_points)
    outside = low_places(
        region,
        anomaly_map,
        threshold,
        options.negative_points,
        share_of_short_side(options.surroundings, height, width),
    )
    margin = round(options.box_margin * min(height, width))
    left, top, right, bottom = (float(side) for side in widened(region.box, margin, height, width))
    return Prompt(
        box=(left, top, right, bottom),
        points=np.concatenate([inside, outside]).astype(np.float32),
        labels=np.array([1] * len(inside) + [0] * len(outside), dtype=np.int64),
        mask=mask_prompt(_without_others(region, anomaly_map, threshold), threshold, region.score)
        if options.mask_prompt
        else None,
    )


def _without_others(region: Region, anomaly_map: np.ndarray, threshold: float) -> np.ndarray:
    """The map with the other components, which have their own prompts, set to its lowest value."""
    others = anomaly_map > threshold
    others[slices(region.box)] &= ~region.mask
    return np.where(others, anomaly_map.min(), anomaly_map)


def interior_peaks(region: Region, anomaly_map: np.ndarray, threshold: float, count: int) -> np.ndarray:
    """Up to ``count`` high places of the map well inside a component, int ``[point, 2]``, ``(x, y)``.

    Height counts most and depth a little: the merit of a place is its height above the threshold as a share of the
    peak's, plus `DEPTH_WEIGHT` times its distance from the component's border as a share of the greatest. The first has
    the greatest merit; each further one lies at least a third of the component's extent from the others; all lie at
    least `LEAST_HEIGHT` of the way from the threshold to the peak.
    """
    left, top, _, _ = region.box
    height_above = np.where(region.mask, anomaly_map[slices(region.box)] - threshold, 0.0)
    relative = height_above / height_above.max()
    depth = cv2.distanceTransform(np.pad(region.mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    merit = np.where(region.mask, relative + DEPTH_WEIGHT * depth / depth.max(), -np.inf)
    merit[relative < LEAST_HEIGHT] = -np.inf
    found = _spread_maxima(merit, count, max(region.mask.shape) / 3)
    places: np.ndarray = found + np.array([left, top])
    return places


def low_places(region: Region, anomaly_map: np.ndarray, threshold: float, count: int, reach: int) -> np.ndarray:
    """Up to ``count`` places around a component where the map is low, int ``[point, 2]``, ``(x, y)``.

    They lie within ``reach`` pixels of the component's box, on no component, in the lower half of the values there, and
    apart from each other by at least half of the reach.
    """
    height, width = anomaly_map.shape
    window = widened(region.box, reach, height, width)
    around = anomaly_map[slices(window)]
    free = around <= threshold
    if count == 0 or not free.any():
        return np.zeros((0, 2), dtype=np.int64)
    low = free & (around <= np.median(around[free]))
    found = _spread_maxima(np.where(low, -around.astype(np.float64), -np.inf), count, reach / 2)
    places: np.ndarray = found + np.array(window[:2])
    return places


def _spread_maxima(merit: np.ndarray, count: int, spacing: float) -> np.ndarray:
    """Places of the greatest values, one after the other, none nearer than ``spacing`` to an earlier one.

    Args:
        merit: float ``[height, width]``; minus infinity where nothing may be chosen.

    Returns:
        int ``[point, 2]``, ``(x, y)``; at most ``count``.
    """
    left = merit.copy()
    rows, columns = np.ogrid[: merit.shape[0], : merit.shape[1]]
    found: list[tuple[int, int]] = []
    while len(found) < count:
        row, column = np.unravel_index(np.argmax(left), left.shape)
        if left[row, column] == -np.inf:
            break
        found.append((int(column), int(row)))
        left[(rows - row) ** 2 + (columns - column) ** 2 < max(spacing, 1) ** 2] = -np.inf
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def mask_prompt(anomaly_map: np.ndarray, threshold: float, peak: float) -> np.ndarray:
    """The map as logits of a first guess: 0 at the threshold, the greatest at the component's peak.

    Below the threshold the lowest value of the map has the lowest logit, so that the unit of the map does not matter.

    Returns:
        float32 ``[row, column]``, reduced to the input size of the models, in ``[-MASK_PROMPT_RANGE,
        MASK_PROMPT_RANGE]``.
    """
    height, width = anomaly_map.shape
    scale = min(1.0, MASK_PROMPT_SIDE / max(height, width))
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    reduced = cv2.resize(anomaly_map.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    lowest = min(float(anomaly_map.min()), np.nextafter(threshold, -np.inf))
    logits = np.interp(reduced, [lowest, threshold, peak], [-MASK_PROMPT_RANGE, 0, MASK_PROMPT_RANGE])
    return logits.astype(np.float32)
