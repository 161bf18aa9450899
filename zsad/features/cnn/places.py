"""The positions of a network's map cells in an image, and the interpolation of tokens on a grid from them.

All lengths are pixels of the resized image, from its edge: the middle of its first pixel is at 1/2. Nothing here
imports a framework.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

AVERAGED = 3  # side in tokens of the square that a token is averaged over (Roth et al., CVPR 2022, section 3.1)


class Cells(NamedTuple):
    """The cells of a map: cell ``i`` is at ``first + i * stride`` of the network's input, along both sides."""

    stride: int
    first: float


class MapLayer(NamedTuple):
    """A layer of a network whose output is kept.

    Attributes:
        name: in the name of the tokens' layer.
        cells: positions of its map's cells.
        channels: of the map.
    """

    name: str
    cells: Cells
    channels: int


def joined_name(layers: Sequence[MapLayer]) -> str:
    """The name of the token layer that concatenates layers."""
    return "+".join(layer.name for layer in layers)


class Margin(NamedTuple):
    """The margin of a side of an image, so that there are cells on either side of every patch centre."""

    before: int
    after: int


def margin_around(length: int, patch: int, layers: Sequence[MapLayer], multiple: int) -> Margin:
    """The narrowest margin of a side.

    Its first part puts the cells of the finest map within half a pixel of the patch centres, if the map is as fine as
    the grid: then cells are hardly mixed.

    Args:
        length: of the side; a multiple of ``patch``.
        patch: side of a patch.
        multiple: the network's input must be a multiple of it.
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
    """The source pixel of each pixel of a side with its margin: ``... 1 0 | 0 1 ... n-1 | n-1 n-2 ...``, int64."""
    place = np.arange(-margin.before, length + margin.after) % (2 * length)
    return np.minimum(place, 2 * length - 1 - place)


def sampling(count: int, patch: int, cells: Cells, margin: Margin) -> np.ndarray:
    """Weights of the cells of a map along a side for the mean of each token of a grid and its neighbours.

    A token is interpolated linearly at the centre of its patch, over as many cells as a patch has if the map is finer.
    The outer neighbours of the first and last tokens are their mirror images: themselves.

    Args:
        count: tokens along the side.
        patch: side of a patch.
        margin: of the side; the side with its margin is a multiple of the stride.

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
