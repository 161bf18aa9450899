"""Anomaly maps at the resolution of their images, and their thresholds; all stages use this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np


class Thresholds(NamedTuple):
    """The two thresholds of an image; an image is called defective if it has a marked region.

    Values of maps are float32, and both are numbers that float32 has. Neither is minus infinity.

    Attributes:
        pixel: threshold above which values of a map are marked; not above ``region``. Infinite if the method does not
            localise.
        region: threshold that the highest value of an 8-connected region of patches above ``pixel`` must exceed for the
            region to stand out; other regions are not marked. If the method does not localise, the threshold of the
            image score.
    """

    pixel: float
    region: float


def informative_maps(maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The maps that are not constant; a constant map, e.g. of a scorer that abstains, has no information."""
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

    Values above ``thresholds.pixel`` in the result are marked: there are some if and only if the highest value of
    ``anomaly_map`` exceeds ``thresholds.region``. In and around regions that stand out, the result is `at_image_size`
    of the map; elsewhere it is the same, but at most ``thresholds.pixel``. The peak of a region, which lies between
    pixels, is put on the nearest pixel, so that a region of one patch is not lost by the interpolation.

    Args:
        anomaly_map: float ``[row, column]``, on the patch grid, of a method that localises.
        thresholds: a consistent pair: ``pixel`` is not above ``region``.

    Returns:
        float32 ``[height, width]``.
    """
    pixel, region = np.float32(thresholds.pixel), np.float32(thresholds.region)
    anomaly_map = np.ascontiguousarray(anomaly_map, dtype=np.float32)
    at_size = at_image_size(anomaly_map, height, width)
    if not anomaly_map.max() > region:
        np.minimum(at_size, pixel, out=at_size)
        return at_size
    labels, peaks = _regions(anomaly_map, pixel)
    peaks[0] = -np.inf  # the background is not a region
    stands_out = (peaks > region)[labels]
    # A pixel is interpolated from four patches; these cannot belong to different regions, which would be connected.
    lies_beside = at_image_size(stands_out, height, width) > 0
    np.minimum(at_size, pixel, out=at_size, where=~lies_beside)
    rows, columns = np.nonzero(stands_out & (anomaly_map == peaks[labels]))
    nearest = _nearest(rows, labels.shape[0], height), _nearest(columns, labels.shape[1], width)
    np.maximum.at(at_size, nearest, anomaly_map[rows, columns])
    return at_size


def _regions(anomaly_map: np.ndarray, pixel: np.float32) -> tuple[np.ndarray, np.ndarray]:
    """The number of each patch's 8-connected region above a threshold, 0 for none, and the highest value of each."""
    count, found = cv2.connectedComponents((anomaly_map > pixel).astype(np.uint8), connectivity=8)
    labels = found.astype(np.intp)
    peaks = np.full(count, -np.inf, dtype=np.float32)
    np.maximum.at(peaks, labels.ravel(), anomaly_map.ravel())
    return labels, peaks


def _nearest(patches: np.ndarray, count: int, pixels: int) -> np.ndarray:
    """The pixels that are nearest to the centres of patches, along one axis of ``count`` patches."""
    return (2 * patches + 1) * pixels // (2 * count)
