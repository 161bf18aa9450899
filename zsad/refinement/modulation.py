"""Modulation: a continuous anomaly map that is raised inside the masks of a refiner and lowered outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from zsad.maps import Thresholds, at_image_size, standing_out
from zsad.scoring.base import Method


class Modulation(Method):
    """Sharpen the map of a method by the masks of a refiner that started from this map.

    A mask has edges but no ranking, so that it would lower AUROC and AUPRO in place of the map. Here the map moves part
    of the way towards the mask. At each pixel let

    - ``m`` be the map, read at the working size (see `side`), where the peak of each marked region is put on the
      nearest pixel: the image is called defective as before, unless the mask leaves out all of these peaks;
    - ``t`` be the image's pixel threshold by the decisions of the method, or the least of ``m`` if that is greater;
    - ``c`` be the coverage in [0, 1], the share of the pixel's area that lies in the mask;
    - ``P`` be the greatest ``m`` of the mask's region that the pixel is in, an 8-connected component of ``c > 0``.

    The target is ``w = c P + (1 - c) min(m, t)``, and with the strength ``s`` the modulated map is ``(1 - s) m + s w``.
    So a pixel in the mask rises towards the peak of its region; one outside and above the threshold falls towards it,
    keeping the order; one outside and below does not change.

    Values are in the unit of ``m`` and between its least and its greatest. So images remain comparable, and setting,
    image scores and notes are those of the method. No new threshold is set: the method's own thresholds are applied to
    the modulated maps.
    """

    summary: ClassVar[str] = "A method's map, raised inside a refiner's masks and lowered outside."
    reference: ClassVar[str] = "This project's own."
    blind_to: ClassVar[str] = (
        "what the map of its method does not mark: it only changes outlines, and image scores stay"
    )

    method: str = Field(description="Name of the method whose scores are modulated.")
    refiner: str = Field(description="Name of the refiner whose masks of that method are used.")
    strength: float = Field(
        0.5, ge=0, le=1, description="How far the map moves: 0 not at all, 1 all the way to the mask."
    )
    side: int = Field(
        256,
        gt=0,
        description="Longest side of the modulated maps, pixels: more than the patch grid has, for sharp edges.",
    )

    def grid_size(self, image_size: Sequence[int], map_size: Sequence[int]) -> tuple[int, int]:
        """The working size, rows and columns.

        It has the image's proportions and its longest side is `side`; but along neither axis is it coarser than the
        map or finer than the image.

        Args:
            image_size: height and width, pixels.
            map_size: rows and columns of the method's map.
        """
        height, width = (int(length) for length in image_size)
        rows, columns = (int(length) for length in map_size)
        scale = self.side / max(height, width)
        return min(height, max(rows, round(height * scale))), min(width, max(columns, round(width * scale)))

    def modulated(self, anomaly_map: np.ndarray, mask: np.ndarray, thresholds: Thresholds) -> np.ndarray:
        """The modulated map of an image.

        Args:
            anomaly_map: float32 ``[row, column]``, on the method's grid.
            mask: bool ``[height, width]``, at the image's size.
            thresholds: of the image, in the unit of the map.

        Returns:
            float32 ``[row, column]``, of `grid_size`.
        """
        rows, columns = self.grid_size(mask.shape, anomaly_map.shape)
        # In float64, so that a pixel that does not move keeps exactly its float32 value.
        read = at_image_size(anomaly_map, rows, columns)
        m = np.maximum(read, standing_out(anomaly_map, thresholds, rows, columns)).astype(np.float64)
        c = coverage(mask, rows, columns)
        w = c * region_peaks(m, c > 0) + (1 - c) * np.minimum(m, max(thresholds.pixel, m.min()))
        modulated: np.ndarray = ((1 - self.strength) * m + self.strength * w).astype(np.float32)
        return modulated


def coverage(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The share of each pixel's area that a mask covers, at a reduced size.

    Args:
        mask: bool ``[height, width]``, not smaller than ``[rows, columns]``.

    Returns:
        float64 ``[rows, columns]`` in [0, 1].
    """
    shares = cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.minimum(shares.astype(np.float64), 1.0)  # sums of float32 shares may exceed 1 by a rounding error


def region_peaks(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """For each pixel the greatest value of its region.

    Args:
        values: float ``[row, column]``.
        inside: bool ``[row, column]``; its 8-connected components are regions, and all pixels outside form one more.

    Returns:
        float ``[row, column]``, nowhere below ``values``.
    """
    count, found = cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)
    labels: np.ndarray = found
    peaks = np.full(count, -np.inf)
    np.maximum.at(peaks, labels.ravel(), values.ravel())
    highest: np.ndarray = peaks[labels]
    return highest
