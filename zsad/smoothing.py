"""Gaussian smoothing of a map at pixel size, as in most papers before image scores and pixel metrics.

The values are those of ``scipy.ndimage.gaussian_filter(map, sigma)`` with its defaults, which the published code of
PaDiM, PatchCore and AnomalyDINO calls with a sigma of 4: the kernel ends at 4 sigma, and the map is mirrored at its
edges, the pixel at the edge included. OpenCV computes them in a fraction of the time.
"""

from __future__ import annotations

import cv2
import numpy as np

TRUNCATED_AT = 4.0  # standard deviations


def smooth(anomaly_map: np.ndarray, sigma: float) -> np.ndarray:
    """A map, float32 ``[row, column]``, smoothed by a Gaussian of ``sigma`` pixels; with 0 it is returned as it is."""
    kernel = gaussian_kernel(sigma)
    if kernel.size == 1:
        return anomaly_map
    return np.asarray(cv2.sepFilter2D(anomaly_map, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT))


def gaussian_kernel(sigma: float) -> np.ndarray:
    """Weights float64 ``[2 r + 1]`` of the pixels up to ``r = int(4 sigma + 1/2)`` away, whose sum is 1."""
    radius = int(TRUNCATED_AT * sigma + 0.5)
    if not radius:
        return np.ones(1)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    return weights
