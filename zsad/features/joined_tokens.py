"""Concatenate the tokens of several backbones on one grid, each member scaled to unit length and weighted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zsad.grids import finest


def joined(members: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """Join the patch tokens of one image.

    Args:
        members: one array ``[layer, row, column, channel]`` per backbone; the grids cover the image edge to edge.
        shares: weight of each in the cosine similarity; their sum is 1.

    Returns:
        float32 ``[1, row, column, channel]``, unit vectors on the finest grid; for each member, layer after layer.
    """
    rows, columns = finest(tokens.shape[1:3] for tokens in members)
    tokens = np.empty((1, rows, columns, sum(_width(member) for member in members)), dtype=np.float32)
    start = 0
    for member, share in zip(members, shares, strict=True):
        weight = math.sqrt(share / len(member))
        for layer in member:
            end = start + layer.shape[-1]
            tokens[0, :, :, start:end] = weight * _unit_on_grid(layer, rows, columns)
            start = end
    return tokens


def joined_vectors(members: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """Join the class tokens of one image, one array ``[layer, channel]`` per backbone, to float32 ``[1, channel]``."""
    return joined([member[:, None, None] for member in members], shares)[:, 0, 0]


def unit(tokens: np.ndarray) -> np.ndarray:
    """Scale vectors along the last axis to length one, float32; a zero vector gets the direction of all ones.

    Equal to `zsad.scoring.tokens.normalise` for a single backbone.
    """
    tokens = tokens.astype(np.float32, copy=False)
    length = np.linalg.norm(tokens, axis=-1, keepdims=True)
    if length.all():
        unit: np.ndarray = tokens / length
        return unit
    return np.where(length > 0, tokens / np.where(length > 0, length, 1), np.float32(tokens.shape[-1] ** -0.5))


def resampled(tokens: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Resample tokens ``[row, column, channel]`` to another grid: bilinear between patch centres, constant beyond.

    Like `zsad.maps.at_image_size`: both grids cover the image edge to edge.
    """
    return _along_first(_along_first(tokens, rows).swapaxes(0, 1), columns).swapaxes(0, 1)


def _unit_on_grid(tokens: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Resample directions, so that a long token does not dominate its neighbours."""
    vectors = unit(tokens)
    return vectors if vectors.shape[:2] == (rows, columns) else unit(resampled(vectors, rows, columns))


def _along_first(tokens: np.ndarray, count: int) -> np.ndarray:
    """Linear interpolation at the centres of ``count`` cells that cover the first axis."""
    given = len(tokens)
    if given == count:
        return tokens
    places = np.clip((np.arange(count) + 0.5) * given / count - 0.5, 0, given - 1)
    before = places.astype(int)
    after = np.minimum(before + 1, given - 1)
    share = (places - before).astype(np.float32)[:, None, None]
    between: np.ndarray = (1 - share) * tokens[before] + share * tokens[after]
    return between


def _width(member: np.ndarray) -> int:
    width: int = member.shape[0] * member.shape[-1]
    return width
