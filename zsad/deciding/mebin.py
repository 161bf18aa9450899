"""MEBin: the threshold at which the number of regions stays the same for longest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from zsad.deciding.base import BatchRule, Evidence, above_all
from zsad.maps import informative_maps


class MEBin(BatchRule):
    """Median over the images of the threshold at which an image's regions are most stable.

    For each image, thresholds go down from the highest value of all maps to the lowest maximum of a map, and the
    8-connected regions above each are counted. The longest run of one and the same count, not zero, of at least
    ``min_interval`` levels is the image's stable interval, and its lower end the image's threshold; an image without
    one is taken to be normal.

    The published rule thresholds each image by itself, at pixel resolution, and erodes by 6 x 6 pixels to drop specks.
    Here the category has one threshold, so that scores stay comparable: the median over the images that have a stable
    interval. On a patch grid such an erosion would remove most defects; regions of fewer than ``min_patches`` patches
    are not counted instead. Where no image has a stable interval, as in a category of one image, no image is called
    defective.
    """

    summary: ClassVar[str] = "The threshold at which the number of regions is most stable, median over the images."
    reference: ClassVar[str] = "MEBin of AnomalyNCD: Huang et al., CVPR 2025; adapted to patch grids."
    needs_batch: ClassVar[bool] = False  # the patches of a single image are enough

    levels: int = Field(64, ge=2, description="Thresholds tried between the lowest and the highest maximum of a map.")
    min_interval: int = Field(4, ge=1, description="Levels that a count must last to be stable.")
    min_patches: int = Field(2, ge=1, description="Regions of fewer patches than this are not counted.")

    @property
    def needs_maps(self) -> bool:
        """True: regions are counted in maps."""
        return True

    def threshold(self, evidence: Evidence) -> float:
        """Threshold from the maps that are not constant; above everything if no image has a stable interval."""
        maps = evidence.maps
        values = informative_maps(maps)
        stable = [found for found in self._image_thresholds(values) if found is not None] if values else []
        return float(np.median(stable)) if stable else above_all(maps)

    def _image_thresholds(self, maps: Sequence[np.ndarray]) -> list[float | None]:
        """The threshold of each image, or None if it has no stable interval."""
        maxima = [anomaly_map.max() for anomaly_map in maps]
        descending = np.linspace(max(maxima), min(maxima), self.levels, dtype=np.float64)
        return [self._most_stable(anomaly_map, descending) for anomaly_map in maps]

    def _most_stable(self, anomaly_map: np.ndarray, descending: np.ndarray) -> float | None:
        """The last threshold of the longest run of one non-zero count; of equally long runs, the highest."""
        counts = [self._regions(anomaly_map > level) for level in descending]
        ends = [*np.flatnonzero(np.diff(counts)), len(counts) - 1]
        starts = [0, *(end + 1 for end in ends[:-1])]
        runs = [(end - start + 1, end) for start, end in zip(starts, ends, strict=True) if counts[start] > 0]
        length, end = max(runs, key=lambda run: run[0], default=(0, 0))
        return float(descending[end]) if length >= self.min_interval else None

    def _regions(self, mask: np.ndarray) -> int:
        """Number of 8-connected regions of at least ``min_patches`` patches."""
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        return int((stats[1:, cv2.CC_STAT_AREA] >= self.min_patches).sum())
