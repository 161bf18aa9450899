"""How an anomaly map on the patch grid is read at the resolution of its image, by every stage alike."""

from __future__ import annotations

import cv2
import numpy as np


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
