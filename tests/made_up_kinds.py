"""Embeddings of made-up kinds of defects: directions, and images around them."""

from __future__ import annotations

import numpy as np


def unit(values: np.ndarray) -> np.ndarray:
    rows: np.ndarray = values / np.linalg.norm(values, axis=1, keepdims=True)
    return rows


def around(
    rng: np.random.Generator, kinds: np.ndarray, *, channels: int = 16, apart: float | np.ndarray = 2.0
) -> np.ndarray:
    """An image of each of ``kinds``: noise of deviation 1, ``apart`` (of each kind) along the axis of its kind."""
    return unit(rng.normal(size=(len(kinds), channels)) + (np.eye(channels) * np.resize(apart, channels))[kinds])
