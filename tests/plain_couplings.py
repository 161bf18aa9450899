"""Affine couplings in numpy, dimension by dimension, by the weights of a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

ALPHA = 1.9


def plain_couplings(
    weights: Mapping[str, np.ndarray], blocks: int, vector: Sequence[float], condition: Sequence[float] | None
) -> tuple[np.ndarray, float]:
    """``z`` and ``log|det dz/dx|`` of one vector, in float64."""
    values = {name: np.asarray(array, dtype=np.float64) for name, array in weights.items()}
    now, total = np.array(vector, dtype=np.float64), 0.0
    half = len(now) // 2
    for number in range(blocks):
        kept, changed = list(range(half)), list(range(half, len(now)))
        if number % 2 == 0:
            now = now[values["orders"][number // 2].astype(int)]
        else:
            kept, changed = changed, kept
        name = f"couplings.{number}"
        hidden = values[f"{name}.first.weight"] @ now[kept] + values[f"{name}.first.bias"]
        if condition is not None:
            hidden = hidden + values[f"{name}.conditional.weight"] @ np.asarray(condition, dtype=np.float64)
        out = values[f"{name}.last.weight"] @ np.maximum(hidden, 0) + values[f"{name}.last.bias"]
        for place, index in enumerate(changed):
            log_scale = 2 * ALPHA / math.pi * math.atan(out[place] / ALPHA)
            now[index] = math.exp(log_scale) * now[index] + out[len(changed) + place]
            total += log_scale
    return now, total
