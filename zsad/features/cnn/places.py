"""Where the cells of a network's maps lie in an image, and how tokens on a grid are read from them.

All lengths are pixels of the resized image, from its edge: the middle of its first pixel is at 1/2. Nothing here
imports a framework.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

AVERAGED = 3  # tokens along the side of the square that a token is the mean of (Roth et al., CVPR 2022, section 3.1)


class Cells(NamedTuple):
    """The cells of a map: cell ``i`` looks at ``first + i * stride`` of what the network sees, along both sides."""

    stride: int
    first: float


class MapLayer(NamedTuple):
    """A layer of a network whose output is kept.

    Attributes:
        name: in the name of the tokens' layer.
        cells: where those of its map lie.
        channels: of the map.
    """

    name: str
    cells: Cells
    channels: int


def joined_name(layers: Sequence[MapLayer]) -> str:
    """The name of the layer of tokens that layers are joined in."""
    return "+".join(layer.name for layer in layers)


class Margin(NamedTuple):
    """What a side of an image is continued by, so that there are cells on either side of every patch centre."""

    before: int
    after: int


def margin_around(length: int, patch: int, layers: Sequence[MapLayer], multiple: int) -> Margin:
    """The narrowest margin of a side.

    In front it is such that the cells of the finest map are half a pixel from the centres of patches at most, if it is
    as fine as the grid: then they are hardly mixed.

    Args:
        length: of the side; a multiple of ``patch``.
        patch: side of a patch.
        multiple: of what the network takes.
    """
    half = patch / 2
    needed = max(0.0, max(layer.cells.first for layer in layers) - half)
    phase = round(min(layer.cells for layer in layers).first - half) % patch
    before = phase + patch * max(0, math.ceil((needed - phase) / patch))
    whole = -(-(before + length) // multiple) * multiple
    last = before + length - half
    while min(_last_cell(whole, layer.cells) for layer in layers) < last:
        whole += multiple
    return Margin(before, whole - before - length)


def _last_cell(length: int, cells: Cells) -> float:
    return cells.first + cells.stride * (length // cells.stride - 1)


def reflected(length: int, margin: Margin) -> np.ndarray:
    """Which pixel of a side each pixel with its margin shows: ``... 1 0 | 0 1 ... n-1 | n-1 n-2 ...``, int64."""
    place = np.arange(-margin.before, length + margin.after) % (2 * length)
    return np.minimum(place, 2 * length - 1 - place)


def sampling(count: int, patch: int, cells: Cells, margin: Margin) -> np.ndarray:
    """Weights of the cells of a map along a side for the mean of each token of a grid and its neighbours.

    A token is interpolated linearly at the centre of its patch, over as many cells as a patch has if the map is finer.
    The neighbours of the first and last tokens are what their mirror images would be: themselves.

    Args:
        count: tokens along the side.
        patch: side of a patch.
        margin: of the side; with it the side is a multiple of the stride.

    Returns:
        float32 ``[token, cell]``; each row adds up to 1.
    """
    number = (margin.before + count * patch + margin.after) // cells.stride
    centres = margin.before + patch * (np.arange(count) + 0.5)
    places = (centres - cells.first) / cells.stride
    reach = max(1.0, patch / cells.stride)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(number)) / reach)
    weights /= weights.sum(axis=1, keepdims=True)
    around = np.arange(AVERAGED) - AVERAGED // 2
    neighbours = np.clip(np.arange(count)[:, None] + around, 0, count - 1)
    averaged: np.ndarray = weights[neighbours].mean(axis=1).astype(np.float32)
    return averaged
