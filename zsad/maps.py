"""How an anomaly map on the patch grid is read at the resolution of its image, by every stage alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

ROUNDING = 4 * np.finfo(np.float32).eps


class Thresholds(NamedTuple):
    """The thresholds of an image, one consistent pair: an image is called defective if it has a marked region.

    Values of maps are float32, and so are both as numbers.

    Attributes:
        pixel: what the values of a map must exceed to be marked; not above ``region``. Infinite where the method does
            not localise.
        region: what the highest value of an 8-connected region of patches above ``pixel`` must exceed for the region
            to stand out; others are not marked. Where the method does not localise, what the image score must exceed.
    """

    pixel: float
    region: float


def telling(maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The maps that are not constant; a constant one, such as that of a scorer that abstains, tells nothing."""
    return [anomaly_map for anomaly_map in maps if anomaly_map.min() < anomaly_map.max()]


def at_image_size(anomaly_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resample a map to an image: bilinear between patch centres, constant beyond the outermost ones.

    The grid covers the image edge to edge, so that patch ``(r, c)`` of ``R x C`` is centred at
    ``((r + 1/2) height / R, (c + 1/2) width / C)``.

    Args:
        anomaly_map: float ``[row, column]``.

    Returns:
        float32 ``[height, width]``; no value lies outside the range of ``anomaly_map``.
    """
    return cv2.resize(
        np.ascontiguousarray(anomaly_map, dtype=np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )


def standing_out(anomaly_map: np.ndarray, thresholds: Thresholds, height: int, width: int) -> np.ndarray:
    """The map at its image's size, lowered where it exceeds ``thresholds.pixel`` in a region that does not stand out.

    What exceeds ``thresholds.pixel`` in the result is what is marked: there is something if and only if the highest
    value of ``anomaly_map`` exceeds ``thresholds.region``. A peak between two pixels is put on the nearest one, so
    that a region of one patch is not lost by the interpolation.

    Args:
        anomaly_map: float ``[row, column]``, on the patch grid.

    Returns:
        float32 ``[height, width]``.
    """
    pixel = np.float32(thresholds.pixel)
    anomaly_map = np.ascontiguousarray(anomaly_map, dtype=np.float32)
    if not anomaly_map.max() > thresholds.region:
        unmarked: np.ndarray = np.minimum(at_image_size(anomaly_map, height, width), pixel)
        return unmarked
    count, found = cv2.connectedComponents((anomaly_map > pixel).astype(np.uint8), connectivity=8)
    labels: np.ndarray = found
    peaks = np.full(count, -np.inf, dtype=np.float32)
    np.maximum.at(peaks, labels.ravel(), anomaly_map.ravel())
    stands_out = peaks > thresholds.region
    stands_out[0] = False
    lowered = np.where(stands_out[labels] | (labels == 0), anomaly_map, pixel)
    at_size = at_image_size(lowered, height, width)
    rounding = ROUNDING * np.abs(anomaly_map).max()  # of an interpolation between values that are equal
    at_size[(at_size > pixel) & (at_size <= pixel + rounding)] = pixel
    for row, column in np.argwhere(stands_out[labels] & (anomaly_map == peaks[labels])):
        at_size[_nearest(row, labels.shape[0], height), _nearest(column, labels.shape[1], width)] = peaks[
            labels[row, column]
        ]
    return at_size


def _nearest(patch: int, patches: int, pixels: int) -> int:
    """The pixel that is nearest to the centre of a patch, along one axis."""
    return min(int((patch + 0.5) * pixels / patches), pixels - 1)
