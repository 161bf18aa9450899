"""The regions of a mask: position, size and anomaly score of each defect."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

_CORNERS = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])


class Region(NamedTuple):
    """An 8-connected region of a mask. Lengths are in pixels of the image, scores in the unit of the map.

    Attributes:
        box: ``(x, y, width, height)`` of the smallest upright box around it; ``x, y`` is its left upper pixel.
        area: number of pixels.
        centroid: ``(x, y)``, the mean position of its pixels; (0, 0) is the centre of the image's left upper pixel.
        length: greatest distance between two of its points, with pixels as squares (maximum Feret diameter): 1.41
            for a single pixel.
        peak: greatest value of the map in it.
        mean: mean value of the map in it.
    """

    box: tuple[int, int, int, int]
    area: int
    centroid: tuple[float, float]
    length: float
    peak: float
    mean: float


class Piece(NamedTuple):
    """A region with its pixels.

    Attributes:
        region: its measurements.
        labels: ``[height, width]``, the labelled image within its box: a view, because boxes of regions may overlap.
        label: the label of the region.
    """

    region: Region
    labels: np.ndarray
    label: int

    @property
    def pixels(self) -> np.ndarray:
        """The region within its box, bool ``[height, width]``."""
        pixels: np.ndarray = self.labels == self.label
        return pixels


def find_regions(mask: np.ndarray, anomaly_map: np.ndarray) -> list[Region]:
    """The 8-connected regions of a mask, highest peak first; with equal peaks, in row order.

    Args:
        mask: bool ``[height, width]``.
        anomaly_map: float ``[height, width]``, at the size of the mask; see `zsad.maps.at_image_size`.

    Raises:
        ValueError: the two differ in size.
    """
    return [piece.region for piece in find_pieces(mask, anomaly_map)]


def find_pieces(mask: np.ndarray, anomaly_map: np.ndarray) -> list[Piece]:
    """The same with their pixels; arguments, order and errors as in `find_regions`."""
    if mask.ndim != 2 or mask.shape != anomaly_map.shape:
        raise ValueError(f"a mask of shape {mask.shape} needs a map of the same shape, not {anomaly_map.shape}")
    marked = np.flatnonzero(mask)
    if not marked.size:
        return []
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    owners, values = labels.ravel()[marked].astype(np.intp), anomaly_map.ravel()[marked].astype(np.float64)
    peaks = np.full(count, -np.inf)
    np.maximum.at(peaks, owners, values)
    means = np.bincount(owners, values, count) / np.maximum(np.bincount(owners, minlength=count), 1)
    names, first = np.unique(owners, return_index=True)  # some labellings do not number regions in row order
    pieces = []
    for label in names[np.lexsort((first, -peaks[names]))].tolist():
        x, y, width, height, area = stats[label].tolist()
        within = labels[y : y + height, x : x + width]
        region = Region(
            box=(x, y, width, height),
            area=area,
            centroid=(float(centroids[label, 0]), float(centroids[label, 1])),
            length=_greatest_extent(within == label),
            peak=float(peaks[label]),
            mean=float(means[label]),
        )
        pieces.append(Piece(region, within, label))
    return pieces


def _greatest_extent(pixels: np.ndarray) -> float:
    """The greatest distance between any two corners of the pixels of a region, bool ``[height, width]``."""
    contours, _ = cv2.findContours(pixels.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.concatenate(contours)).reshape(-1, 2)
    corners = cv2.convexHull((hull[:, None] + _CORNERS).reshape(-1, 2).astype(np.int32)).reshape(-1, 2)
    squares = [np.square(corners - corner).sum(1).max() for corner in corners.astype(np.int64)]
    return float(np.sqrt(max(squares)))
