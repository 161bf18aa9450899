"""Image scores: from an anomaly map to one score for the image.

``smoothing`` changes the stored map. ``patch_pixels`` and ``pixel_smoothing`` change only the image score: the map is
enlarged by bilinear interpolation between the centres of its patches, smoothed (``sigma`` in pixels, cut off at 4 of
them, reflected at the border, as `scipy.ndimage.gaussian_filter` does), and then aggregated. Smoothing for pixel
metrics is an option of the evaluation.

Of 28 x 28 patches 1 % are 8 rounded up and 7 rounded down. On 41 photographs of magnetic tiles (`embedded`, 28 rows of
patches) rounding down raises the image scores of `memory_bank` by 1.1 % in the mean and 2.2 % at most, those of
`subspace` by 1.4 % and 4.1 %; their ranks correlate by .999 and .996. At 14 pixels a patch they are lower by 10 % and
19 % (.99 and .98). SubspaceAD blurs by a kernel of 3 x 3 pixels with sigma 4: ``pixel_smoothing: 0.81`` agrees with it
to 1.3e-4 of a score, no smoothing to 0.6 %.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from zsad.maps import at_image_size
from zsad.registry import Options
from zsad.scoring.base import ImageScore
from zsad.smoothing import smooth as gaussian_smooth

WIDEST = 100  # greatest sigma of the Gaussian, pixels


class ImageScoring(Options):
    """Options for smoothing a map and for its image score, which has the unit of the map."""

    aggregate: Literal["top_mean", "max", "mean"] = Field(
        "top_mean",
        description="aggregation of a map to the image score: top_mean (mean of the highest patches, as AnomalyDINO), "
        "max (as MuSc) or mean",
    )
    fraction: float = Field(
        0.01, gt=0, le=1, description="share of the patches that top_mean averages, rounded to whole patches"
    )
    rounding: Literal["up", "down"] = Field(
        "up",
        description="rounding to whole patches: up, or down as in the code of AnomalyDINO and SubspaceAD; at least one",
    )
    smoothing: float = Field(
        0.0, ge=0, description="Gaussian smoothing of the map beforehand, sigma in patches; 0 for none"
    )
    patch_pixels: int = Field(
        1,
        ge=1,
        le=64,
        description="pixels along a patch, to aggregate the map at pixel size (SubspaceAD: 14, PaDiM: 4); 1 to "
        "aggregate patches",
    )
    pixel_smoothing: float = Field(
        0.0,
        ge=0,
        le=WIDEST,
        description="Gaussian smoothing at pixel size before aggregation, sigma in those pixels (PaDiM: 4); 0 for none",
    )

    def complete(self, score: ImageScore) -> ImageScore:
        """Smooth the map of an image and compute its image score, as stored.

        If the scorer has computed the image score itself, that is kept.
        """
        if score.anomaly_map is None:
            return score
        anomaly_map = self.smooth(score.anomaly_map)
        own = self.image_score(anomaly_map) if score.image_score is None else score.image_score
        return replace(score, anomaly_map=anomaly_map, image_score=own)

    def smooth(self, anomaly_map: np.ndarray) -> np.ndarray:
        """Smooth a map for storage: float32 ``[row, column]``; beyond its border it continues with constant values."""
        anomaly_map = np.ascontiguousarray(anomaly_map, dtype=np.float32)
        if self.smoothing == 0:
            return anomaly_map
        return cv2.GaussianBlur(anomaly_map, (0, 0), self.smoothing, borderType=cv2.BORDER_REPLICATE)

    def image_score(self, anomaly_map: np.ndarray) -> float:
        """Score of an image from its map, float ``[row, column]``."""
        values = np.asarray(self._at_pixel_size(anomaly_map), dtype=np.float64).ravel()
        if self.aggregate == "mean":
            return float(values.mean())
        count = 1 if self.aggregate == "max" else self._count(values.size)
        return float(np.partition(values, -count)[-count:].mean())

    def _at_pixel_size(self, anomaly_map: np.ndarray) -> np.ndarray:
        """The map to aggregate: the map itself, or enlarged and smoothed."""
        if self.patch_pixels == 1 and self.pixel_smoothing == 0:
            return anomaly_map
        rows, columns = (self.patch_pixels * size for size in anomaly_map.shape)
        return gaussian_smooth(at_image_size(anomaly_map, rows, columns), self.pixel_smoothing)

    def _count(self, total: int) -> int:
        """How many values ``top_mean`` averages: at least one, and not affected by the rounding error of a product."""
        share = self.fraction * total
        return max(1, math.ceil(share - 1e-9) if self.rounding == "up" else math.floor(share + 1e-9))
