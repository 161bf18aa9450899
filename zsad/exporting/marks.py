"""What is marked in an image, and the map that its regions are measured in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zsad.maps import Thresholds, at_image_size, standing_out


class Marked(NamedTuple):
    """An anomaly map at its image's size, and what is marked in it.

    Attributes:
        anomaly_map: float32 ``[height, width]``, see `zsad.maps.at_image_size`; the peak of each marked region, which
            lies between pixels, is put on the nearest one.
        mask: bool ``[height, width]``; there is something in it if and only if the image is called defective.
    """

    anomaly_map: np.ndarray
    mask: np.ndarray


def marked(anomaly_map: np.ndarray, thresholds: Thresholds, height: int, width: int) -> Marked:
    """Mark what stands out in an image of ``height x width``.

    Args:
        anomaly_map: float ``[row, column]`` on the patch grid, of a method that localises.
        thresholds: of the image.
    """
    outstanding = standing_out(anomaly_map, thresholds, height, width)
    mask = outstanding > np.float32(thresholds.pixel)
    shown = np.maximum(outstanding, at_image_size(anomaly_map, height, width), out=outstanding)
    # An interpolation between equal values may be rounded up, above the peak that is decided by.
    return Marked(np.minimum(shown, np.float32(np.max(anomaly_map)), out=shown), mask)
