"""Regions: the connected components of a thresholded anomaly map, and the small operations on them."""

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
        mask: bool ``[bottom - top, right - left]``, the component within its box.
        area: pixels.
        score: greatest value of the map in it.
        peak: ``(x, y)`` of that value, in pixels of the image.
    """

    box: Box
    mask: np.ndarray
    area: int
    score: float
    peak: tuple[int, int]

    def within(self, window: Box) -> np.ndarray:
        """The component as bool ``[bottom - top, right - left]`` of a ``window`` that holds its box."""
        left, top, right, bottom = window
        mask = np.zeros((bottom - top, right - left), dtype=bool)
        mask[slices((self.box[0] - left, self.box[1] - top, self.box[2] - left, self.box[3] - top))] = self.mask
        return mask


def regions_above(anomaly_map: np.ndarray, threshold: float, min_pixels: int = 1) -> list[Region]:
    """The 8-connected components of ``anomaly_map > threshold``, highest score first.

    Args:
        anomaly_map: float ``[height, width]``.
        min_pixels: smaller components are left out.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (anomaly_map > threshold).astype(np.uint8), connectivity=8
    )
    kept = (label for label in range(1, count) if stats[label, cv2.CC_STAT_AREA] >= min_pixels)
    regions = [_region(anomaly_map, labels, label, stats[label]) for label in kept]
    return sorted(regions, key=lambda region: -region.score)


def _region(anomaly_map: np.ndarray, labels: np.ndarray, label: int, stats: np.ndarray) -> Region:
    left, top, width, height, area = (int(value) for value in stats)
    box = (left, top, left + width, top + height)
    mask = labels[slices(box)] == label
    values = np.where(mask, anomaly_map[slices(box)], -np.inf)
    row, column = np.unravel_index(np.argmax(values), values.shape)
    return Region(box, mask, area, float(values[row, column]), (left + int(column), top + int(row)))


def slices(box: Box) -> tuple[slice, slice]:
    """The row and column slices of a box."""
    left, top, right, bottom = box
    return slice(top, bottom), slice(left, right)


def widened(box: Box, margin: int, height: int, width: int) -> Box:
    """``box`` with ``margin`` more pixels on every side, cut to an image of ``height x width``."""
    left, top, right, bottom = box
    return max(0, left - margin), max(0, top - margin), min(width, right + margin), min(height, bottom + margin)


def box_around(mask: np.ndarray) -> Box | None:
    """The smallest box around what a mask, bool ``[height, width]``, marks; None if it marks nothing."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return (left, top, left + width, top + height) if width else None


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
    return keep[labels]


def without_holes(mask: np.ndarray, max_pixels: int) -> np.ndarray:
    """``mask`` with its holes of at most ``max_pixels`` filled; what reaches the border is no hole.

    A hole is 4-connected, because the mask around it is 8-connected.

    Args:
        mask: bool ``[height, width]``.
    """
    background = np.pad(~mask, 1, constant_values=True)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(background.astype(np.uint8), connectivity=4)
    is_small = stats[:, cv2.CC_STAT_AREA] <= max_pixels
    is_small[[0, labels[0, 0]]] = False
    return mask | is_small[labels][1:-1, 1:-1]
