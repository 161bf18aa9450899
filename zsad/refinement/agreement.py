"""Agreement of an outline with the anomaly map, independent of the unit: 1 at best, below 0 if it avoids the map."""

from __future__ import annotations

import numpy as np


def soft_map(anomaly_map: np.ndarray, threshold: float, component: np.ndarray) -> np.ndarray:
    """The map of a window as degrees of membership: 0 at the mean level around the component, 1 at its peak.

    Other components, which have their own prompts, have degree 0.

    Args:
        anomaly_map: float ``[height, width]`` of the window.
        threshold: threshold that made the component.
        component: bool ``[height, width]``, not empty.

    Returns:
        float64 ``[height, width]`` in [0, 1].
    """
    values = anomaly_map.astype(np.float64)
    free = values <= threshold
    level = values[free].mean() if free.any() else values.min()
    degrees: np.ndarray = np.clip(
        (values - level) / max(values[component].max() - level, np.finfo(np.float64).tiny), 0, 1
    )
    degrees[~free & ~component] = 0
    return degrees


def soft_iou(degrees: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union of degrees of membership and a mask: the sums of their minimum and of their maximum.

    Args:
        degrees: float ``[height, width]`` in [0, 1].
        mask: bool ``[height, width]``.
    """
    inside = float(degrees[mask].sum())
    union = np.count_nonzero(mask) + float(degrees[~mask].sum())
    return inside / union if union else 0.0


def agreement(degrees: np.ndarray, mask: np.ndarray) -> float:
    """Mean of the soft IoU and of the contrast (mean degree inside minus mean outside), in [-0.5, 1]."""
    if not mask.any():
        return 0.0
    outside = float(degrees[~mask].mean()) if not mask.all() else 0.0
    return (soft_iou(degrees, mask) + float(degrees[mask].mean()) - outside) / 2
