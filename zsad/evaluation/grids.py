"""How a map on the patch grid is enlarged before it is measured, by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np

from zsad.maps import at_image_size

CENTRES: Final = "centres"


def with_corners_on_corners(anomaly_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resample a map to an image as some published code does: bilinear, with the outermost patches at the corners.

    This is ``align_corners=True`` of ``torch.nn.functional.interpolate``, with which MuSc's maps are made. It stretches
    the map: by half a patch at the edges, not at all in the middle.

    Args:
        anomaly_map: float ``[row, column]``.

    Returns:
        float32 ``[height, width]``.
    """
    along_rows = _stretched(np.ascontiguousarray(anomaly_map, dtype=np.float32), height)
    return np.ascontiguousarray(_stretched(along_rows.T, width).T)


def _stretched(values: np.ndarray, count: int) -> np.ndarray:
    """Rows, linear between the first and the last of ``values``, float32 ``[row, column]``."""
    places = np.linspace(0.0, len(values) - 1, count)
    below = np.minimum(places.astype(np.intp), max(0, len(values) - 2))
    share = (places - below).astype(np.float32)[:, None]
    above = np.minimum(below + 1, len(values) - 1)
    stretched: np.ndarray = values[below] * (1 - share) + values[above] * share
    return stretched


GRIDS = MappingProxyType({CENTRES: at_image_size, "corners": with_corners_on_corners})
