"""The marked regions of an image, and its map at the size of the image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zsad.maps import Thresholds, at_image_size, standing_out


class Marked(NamedTuple):
    """An anomaly map at the size of its image, with its marked regions.

    Attributes:
        anomaly_map: float32 ``[height, width]``, see `zsad.maps.at_image_size`; the peak of each marked region, which
            may lie between pixels, is put on the nearest pixel.
        mask: bool ``[height, width]``; it is not empty if and only if the image is called defective.
    """

    anomaly_map: np.ndarray
    mask: np.ndarray


def marked(anomaly_map: np.ndarray, thresholds: Thresholds, height: int, width: int) -> Marked:
    """Mark the regions of an image of ``height x width`` that exceed the thresholds.

    Args:
        anomaly_map: float ``[row, column]`` on the patch grid, of a method that localises.
        thresholds: of the image.
    """
    outstanding = standing_out(anomaly_map, thresholds, height, width)
    mask = outstanding > np.float32(thresholds.pixel)
    shown = np.maximum(outstanding, at_image_size(anomaly_map, height, width), out=outstanding)
    # Rounding may lift an interpolation between equal values above the peak that decides.
    return Marked(np.minimum(shown, np.float32(np.max(anomaly_map)), out=shown), mask)
