"""Regions: connected components of a thresholded anomaly map, and small operations on them."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

Box = tuple[int, int, int, int]
"""``(left, top, right, bottom)`` in pixels; right and bottom are exclusive."""


class Region(NamedTuple):
    """A connected component of a thresholded map.

    Attributes:
        box: the smallest box around it.
        labels: ``[bottom - top, right - left]``, the labelled image within its box: a view, as boxes of many components
            may overlap.
        label: its own among them.
        area: pixels.
        score: greatest value of the map in it.
        peak: ``(x, y)`` of that value, in pixels of the image.
    """

    box: Box
    labels: np.ndarray
    label: int
    area: int
    score: float
    peak: tuple[int, int]

    @property
    def mask(self) -> np.ndarray:
        """The component within its box, bool ``[bottom - top, right - left]``."""
        mask: np.ndarray = self.labels == self.label
        return mask

    def within(self, window: Box) -> np.ndarray:
        """The component as bool ``[bottom - top, right - left]`` of a ``window`` that holds its box."""
        left, top, right, bottom = window
        mask = np.zeros((bottom - top, right - left), dtype=bool)
        mask[slices(shifted(self.box, window))] = self.mask
        return mask


def regions_above(anomaly_map: np.ndarray, threshold: float, min_pixels: int = 1) -> list[Region]:
    """The 8-connected components of ``anomaly_map > threshold``, highest score first.

    Args:
        anomaly_map: float ``[height, width]``.
        min_pixels: smaller components are left out.
    """
    above = anomaly_map > threshold
    _, labels, stats, _ = cv2.connectedComponentsWithStats(above.astype(np.uint8), connectivity=8)
    kept = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= min_pixels)
    peaks = _peaks(anomaly_map, labels, above, len(stats))
    regions = [_region(anomaly_map, labels, int(label), stats[label], peaks[label]) for label in kept if label != 0]
    return sorted(regions, key=lambda region: -region.score)


def regions_to_outline(anomaly_map: np.ndarray, threshold: float, min_area: float) -> list[Region]:
    """The components of ``anomaly_map > threshold`` that are outlined, highest score first: all but very small ones.

    The highest is kept however small it is, so that an image with any mark has a region.

    Args:
        anomaly_map: float ``[height, width]``.
        min_area: least area of a component, as a fraction of the image's area.
    """
    least = share_of_area(min_area, *anomaly_map.shape)
    regions = regions_above(anomaly_map, threshold)
    return [region for place, region in enumerate(regions) if place == 0 or region.area >= least]


def _peaks(anomaly_map: np.ndarray, labels: np.ndarray, above: np.ndarray, count: int) -> np.ndarray:
    """Flat index of the first greatest value of each label, in one pass over the marked pixels, int ``[label]``."""
    marked = np.flatnonzero(above)
    owners, values = labels.ravel()[marked], anomaly_map.ravel()[marked]
    greatest = np.full(count, -np.inf, dtype=values.dtype)
    np.maximum.at(greatest, owners, values)
    at_peak = np.flatnonzero(values == greatest[owners])[::-1]
    peaks = np.zeros(count, dtype=np.intp)
    peaks[owners[at_peak]] = marked[at_peak]  # backwards, so that the first of equal values is written last
    return peaks


def _region(anomaly_map: np.ndarray, labels: np.ndarray, label: int, stats: np.ndarray, peak: int) -> Region:
    left, top, width, height, area = (int(value) for value in stats)
    box = (left, top, left + width, top + height)
    y, x = (int(place) for place in np.unravel_index(peak, anomaly_map.shape))
    return Region(box, labels[slices(box)], label, area, float(anomaly_map[y, x]), (x, y))


def slices(box: Box) -> tuple[slice, slice]:
    """The row and column slices of a box."""
    left, top, right, bottom = box
    return slice(top, bottom), slice(left, right)


def shifted(box: Box, window: Box) -> Box:
    """A box of the image in the coordinates of a window."""
    left, top = window[:2]
    return box[0] - left, box[1] - top, box[2] - left, box[3] - top


def widened(box: Box, margin: int, height: int, width: int) -> Box:
    """``box`` with ``margin`` more pixels on every side, cut to an image of ``height x width``."""
    left, top, right, bottom = box
    return max(0, left - margin), max(0, top - margin), min(width, right + margin), min(height, bottom + margin)


def box_around(mask: np.ndarray) -> Box | None:
    """The smallest box around what a mask, bool ``[height, width]``, marks; None if it marks nothing."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return (left, top, left + width, top + height) if width else None


def area_of(box: Box) -> int:
    """Pixels of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def bounded_shape(height: int, width: int, max_pixels: int) -> tuple[int, int]:
    """Height and width of an image that is reduced, if necessary, to at most about ``max_pixels``."""
    scale = min(1.0, math.sqrt(max_pixels / (height * width)))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    # A strip cannot become thinner than a pixel, so it must become shorter.
    return min(rows, max(1, max_pixels // columns)), min(columns, max(1, max_pixels // rows))


def resized(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image or a map ``[height, width, ...]`` resized: means of areas if smaller, linear interpolation if larger."""
    if values.shape[:2] == shape:
        return values
    shrinks = shape[0] * shape[1] < values.shape[0] * values.shape[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(values), shape[::-1], interpolation=way)


def resized_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask, bool ``[height, width]``, resized: pixels covered by at least half; never empty if the mask is not."""
    if mask.shape == shape:
        return mask
    share = resized(mask.astype(np.uint8) * 255, shape)
    covered = share >= 128
    return covered if covered.any() or not mask.any() else share == max(1, share.max())


def share_of_area(fraction: float, height: int, width: int) -> int:
    """A fraction of an image's area in whole pixels, at least 1."""
    return max(1, math.ceil(fraction * height * width))


def share_of_short_side(fraction: float, height: int, width: int) -> int:
    """A fraction of an image's shorter side in whole pixels, at least 1."""
    return max(1, round(fraction * min(height, width)))


def pieces_touching(mask: np.ndarray, component: np.ndarray, min_pixels: int = 1) -> np.ndarray:
    """The 8-connected pieces of ``mask`` that share a pixel with ``component`` and have ``min_pixels`` or more.

    Args:
        mask: bool ``[height, width]``.
        component: bool ``[height, width]``.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = np.zeros(count, dtype=bool)
    keep[labels[component]] = True
    keep &= stats[:, cv2.CC_STAT_AREA] >= min_pixels
    keep[0] = False
    pieces: np.ndarray = keep[labels]
    return pieces


def without_holes(mask: np.ndarray, max_pixels: int) -> np.ndarray:
    """``mask`` with its holes of at most ``max_pixels`` filled; openings at the border are not holes.

    A hole is 4-connected, because the mask around it is 8-connected.

    Args:
        mask: bool ``[height, width]``.
    """
    background = np.pad(~mask, 1, constant_values=True)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(background.astype(np.uint8), connectivity=4)
    is_small = stats[:, cv2.CC_STAT_AREA] <= max_pixels
    is_small[[0, labels[0, 0]]] = False
    filled: np.ndarray = mask | is_small[labels][1:-1, 1:-1]
    return filled
