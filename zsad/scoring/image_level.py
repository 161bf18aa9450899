"""From an anomaly map to one score for the image."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from zsad.registry import Part
from zsad.scoring.base import ImageScore


class ImageScoring(Part):
    """How a map is smoothed and summed up; the image score is in the unit of the map."""

    aggregate: Literal["top_mean", "max", "mean"] = Field(
        "top_mean",
        description="top_mean (of the highest patches, as AnomalyDINO), max (as MuSc) or mean",
    )
    fraction: float = Field(
        0.01, gt=0, le=1, description="share of the patches that top_mean averages, rounded up to whole patches"
    )
    smoothing: float = Field(
        0.0, ge=0, description="Gaussian smoothing of the map beforehand, sigma in patches; 0 for none"
    )

    def summed_up(self, score: ImageScore) -> ImageScore:
        """What a scorer says of an image as it is stored: its map smoothed, and an image score from it.

        A scorer that does not localise, or that looks at the whole image too, gives the image score itself.
        """
        if score.anomaly_map is None:
            return score
        anomaly_map = self.smoothed(score.anomaly_map)
        own = self.image_score(anomaly_map) if score.image_score is None else score.image_score
        return replace(score, anomaly_map=anomaly_map, image_score=own)

    def smoothed(self, anomaly_map: np.ndarray) -> np.ndarray:
        """The map as it is stored: float32 ``[row, column]``; beyond its border it is taken to go on unchanged."""
        anomaly_map = np.ascontiguousarray(anomaly_map, dtype=np.float32)
        if self.smoothing == 0:
            return anomaly_map
        return cv2.GaussianBlur(anomaly_map, (0, 0), self.smoothing, borderType=cv2.BORDER_REPLICATE)

    def image_score(self, anomaly_map: np.ndarray) -> float:
        """Score of an image from its map, float ``[row, column]``."""
        values = np.asarray(anomaly_map, dtype=np.float64).ravel()
        if self.aggregate == "mean":
            return float(values.mean())
        count = 1 if self.aggregate == "max" else self._patches(values.size)
        return float(np.partition(values, -count)[-count:].mean())

    def _patches(self, total: int) -> int:
        """How many patches ``top_mean`` averages: at least one, and no more for a product's rounding error."""
        return max(1, math.ceil(self.fraction * total - 1e-9))
