"""Tile distribution: a patch is anomalous if the values of its tile are distributed unlike those of other tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field, field_validator
from scipy.ndimage import gaussian_filter

from zsad.data.subsets import FeatureSet
from zsad.lazy import torch
from zsad.scoring.base import ImageScore, Scorer, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import RANKED, TokenCount
from zsad.scoring.similarity import CACHED_BYTES
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, layer_indices, unit_tokens

RESIDUAL_SHARE, RESIDUAL_COPIES = 0.5, 4  # of the memory; residuals, their mean, blurred, and folded
TYPICAL_BYTES = 64  # of a value: in overlapping tiles, sorted, with its position
BLUR_WIDTH = 2.0  # standard deviations to either side: 5 x 5 patches for sigma_s = 1, as published


class TileDistribution(Scorer):
    """Compare the values in the tile about each patch, channel by channel, with those of a typical tile of the image.

    With unit patch features ``f[c, p]`` of the image and ``t x t`` tiles (``t`` is ``tile``):

    1. reference: ``R[c, k]``, ``k = 1 ... t^2``, is the median over adjacent tiles of a tile's ``k``-th smallest value
       in channel ``c``;
    2. correspondence: in the tile about ``q`` (the image is reflected beyond its border), the optimal transport of the
       values of channel ``c`` to ``R[c]`` moves the ``k``-th smallest to ``R[c, k]``. Its share at position ``p`` of
       the tile is ``e_q(p) = mean over c of |f[c, p] - R[c, k]|``, with ``k`` the rank of ``f[c, p]`` in the tile, and
       its sum is the 1-Wasserstein distance of the two sets;
    3. ``e_q`` is blurred within the tile with ``sigma_s`` and weighted by a Gaussian about ``q`` of standard deviation
       ``sigma_p`` that sums to one, and ``S(p)`` is the sum over the tiles ``q`` that hold ``p``.

    ``S`` is averaged over the layers. It needs a texture whose tiles all look about the same; the median tile is
    typical as long as less than half of the tiles are anomalous. Towards the border fewer tiles hold a patch, so that
    ``S`` falls off over the last ``t // 2`` patches, to about 0.7 of its level on normal textures.

    Departures. Features: the paper uses a Wide-ResNet with each channel scaled to [0, 1] over the image, so that the
    scale depends on the extremes of the image, also those of a defect; unit vectors have one scale for all images and
    layers. Step 1: tiles are spread evenly from border to border, and overlap where ``t`` does not divide the grid,
    instead of leaving out a strip, because a patch grid has few tiles; the median of an even number is the mean of the
    middle two. Step 2: equal values share the mean of their ranks (reflected patches always equal others), so that a
    mirrored image gets the mirrored map.
    """

    summary: ClassVar[str] = "The values around a patch against those of the image's typical tile, for textures."
    reference: ClassVar[str] = "FCA: Ardelean and Weyrich, WACV 2024."
    blind_to: ClassVar[str] = (
        "a defect that changes all tiles of an image equally; in a mostly anomalous image it marks the normal rest"
    )

    tile: int = Field(9, ge=1, description="Side t of a tile, in patches; odd.")
    sigma_s: float = Field(
        1.0, ge=0, description="Standard deviation, in patches, of the blur within a tile; 0 for none."
    )
    sigma_p: float = Field(
        3.0, gt=0, description="Standard deviation, in patches, of the weights of the tiles about a patch."
    )
    layers: Layers = None

    @field_validator("tile")
    @classmethod
    def _odd(cls, tile: int) -> int:
        if tile % 2 == 0:
            raise ValueError("it must be odd, so that a patch is in the middle")
        return tile

    @property
    def setting(self) -> str:
        """One image at a time."""
        return "zero-shot-single"

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images."""
        return {"test": FeatureSet("test")}

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for ranking each value of a token in each of the tiles that hold it."""
        return super().operations(tokens) + RANKED * self.tile**2 * tokens["test"].values

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of the residuals of one image at every position in the tile."""
        test = tokens["test"]
        return 4.0 * (RESIDUAL_COPIES + test.layers) * self.tile**2 * test.patches

    def refusal(self, images: Mapping[str, Shown], *, scores_references: bool = False) -> str:
        """A sentence if the grid of an image is smaller than a tile."""
        for image_id, (rows, columns) in zip(images["test"].image_ids, images["test"].grids, strict=True):
            if min(rows, columns) < self.tile:
                return (
                    f"{image_id} has only {rows} x {columns} patches, fewer than a tile of {self.tile} x {self.tile}; "
                    "lower 'tile' or raise the backbone's resolution"
                )
        return super().refusal(images)

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order.

        Raises:
            DataError: an image's grid is smaller than a tile.
        """
        test = features["test"]
        layers = layer_indices(test, self.layers)
        self.check(features)
        for index in range(len(test)):
            tokens = unit_tokens(test, index, layers, compute.device)  # [layer, row, column, channel]
            yield ImageScore(index, self._map(tokens, compute).cpu().numpy())

    def _map(self, tokens: torch.Tensor, compute: Compute) -> torch.Tensor:
        """``S``, ``[row, column]``, of unit tokens ``[layer, row, column, channel]``; by blocks of tiles."""
        reach, (rows, columns) = self.tile // 2, tokens.shape[1:3]
        typical = [typical_tile(layer, self.tile, compute) for layer in tokens]
        whole = tokens.new_zeros(rows + self.tile - 1, columns + self.tile - 1)
        for block in _blocks(rows, columns, self.tile, len(tokens), compute):
            residuals = torch.stack(
                [
                    tile_residuals(layer, self.tile, compute, of_layer, block)
                    for layer, of_layer in zip(tokens, typical, strict=True)
                ]
            ).mean(dim=0)
            whole[block.place(self.tile)] += self._gathered(residuals)
        return whole[reach : reach + rows, reach : reach + columns]

    def _gathered(self, residuals: torch.Tensor) -> torch.Tensor:
        """Step 3: ``S`` of all patches that the tiles hold, ``[row, column]``, from ``e_q(p)`` of `tile_residuals`."""
        t, rows, columns = self.tile, *residuals.shape[2:]
        blur = gaussian_filter(np.eye(t), (self.sigma_s, 0), mode="mirror", truncate=BLUR_WIDTH)
        weights = np.exp(-((np.arange(t) - t // 2) ** 2) / (2 * self.sigma_p**2))
        along = weights[:, None] / weights.sum() * blur  # along an axis of the tile: blurred, then weighted
        along = torch.from_numpy(along.astype(np.float32)).to(residuals.device)
        shares = torch.einsum("ai,bj,ijrc->abrc", along, along, residuals)
        padded = torch.nn.functional.fold(shares.reshape(1, t * t, -1), (rows + t - 1, columns + t - 1), t)
        return padded[0, 0]


class Block(NamedTuple):
    """A block of patches of a grid: start and end of rows and columns."""

    top: int
    bottom: int
    left: int
    right: int

    def place(self, t: int) -> tuple[slice, slice]:
        """The area of the tiles of ``t x t`` around them on the padded grid."""
        return slice(self.top, self.bottom + t - 1), slice(self.left, self.right + t - 1)


def _blocks(rows: int, columns: int, t: int, layers: int, compute: Compute) -> Iterator[Block]:
    """Split a grid into blocks whose residuals fit a share of the memory; one block if it is small."""
    patches = compute.count((RESIDUAL_COPIES + layers) * 4 * t * t + _rank_bytes(t), RESIDUAL_SHARE)
    height, width = rows, columns
    if rows * columns > patches:
        side = max(1, math.isqrt(patches))
        height = min(rows, max(side, patches // columns))
        width = min(columns, max(1, patches // height))
    for top in range(0, rows, height):
        for left in range(0, columns, width):
            yield Block(top, min(top + height, rows), left, min(left + width, columns))


def typical_tile(tokens: torch.Tensor, t: int, compute: Compute) -> torch.Tensor:
    """Step 1 of `TileDistribution`: ``R`` of tokens ``[row, column, channel]``, ``[channel, 2 t^2 - 1]``.

    Between each two values it has their mean, for values that share ranks.
    """
    values = tokens.permute(2, 0, 1)  # [channel, row, column]
    chunk = max(1, compute.memory // (TYPICAL_BYTES * values[0].numel()))
    return torch.cat([_with_midpoints(_typical_tile(some, t)) for some in values.split(chunk)])


def tile_residuals(tokens: torch.Tensor, t: int, compute: Compute, typical: torch.Tensor, block: Block) -> torch.Tensor:
    """Step 2 of `TileDistribution`: ``e_q(p)`` for each position ``p`` in the tile around each patch ``q``.

    Args:
        tokens: ``[row, column, channel]``, at least ``t`` rows and columns.
        typical: from `typical_tile`.

    Returns:
        float32 ``[t, t, row, column]``: position in the tile, centre of the tile.
    """
    rows, columns, channels = block.bottom - block.top, block.right - block.left, tokens.shape[2]
    values = tokens.permute(2, 0, 1)  # [channel, row, column]
    padded = torch.nn.functional.pad(values, (t // 2,) * 4, mode="reflect")[:, *block.place(t)]
    residuals = tokens.new_zeros(t, t, rows, columns)
    chunk = _channels_at_a_time(padded.shape[1] * padded.shape[2], t, compute)
    for some, some_typical in zip(padded.split(chunk), typical.split(chunk), strict=True):
        first = torch.arange(len(some), device=some.device)[:, None, None] * some_typical.shape[1]
        for i, j, ranks in _doubled_ranks(some, t):
            here = slice(i, i + rows), slice(j, j + columns)
            matched = some_typical.flatten()[first + ranks[:, *here]]
            residuals[i, j] += (some[:, *here] - matched).abs_().sum(dim=0)
    return residuals.div_(channels)


def _channels_at_a_time(patches: int, t: int, compute: Compute) -> int:
    """How many channels of a padded grid are ranked together: within the memory, and on a CPU within the cache."""
    budget = min(compute.memory, CACHED_BYTES) if compute.device == "cpu" else compute.memory
    return max(1, budget // (patches * _rank_bytes(t)))


def _rank_bytes(t: int) -> int:
    """Bytes for ranking a patch and channel: sums of comparisons; values, positions and residuals."""
    return 2 * t * (t + 2) * _rank_type(t).itemsize + 32


def _rank_type(t: int) -> torch.dtype:
    """The smallest integers for doubled ranks in a tile."""
    return torch.uint8 if 2 * t * t <= 256 else torch.int32


def _typical_tile(values: torch.Tensor, t: int) -> torch.Tensor:
    """``R``: medians over tiles of their sorted values, ``[channel, t^2]``, of values ``[channel, row, column]``."""
    rows, columns = (
        torch.tensor(_tile_starts(size, t), device=values.device)[:, None] + torch.arange(t, device=values.device)
        for size in values.shape[1:]
    )
    tiles = values[:, rows[:, None, :, None], columns[None, :, None, :]]  # [channel, tile, tile, t, t]
    ordered = tiles.flatten(3).flatten(1, 2).sort(dim=2).values.sort(dim=1).values
    count = ordered.shape[1]
    return (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2


def _tile_starts(size: int, t: int) -> list[int]:
    """First positions of the fewest tiles that cover an axis symmetrically."""
    spare, count = size - t, math.ceil(size / t)
    if spare % 2 and count % 2:
        count += 1  # the middle one would lie half a patch off
    return [round(spare * index / max(1, count - 1)) for index in range(count)]


def _with_midpoints(values: torch.Tensor) -> torch.Tensor:
    """Values ``[row, k]`` with the mean of each two neighbours between them, ``[row, 2 k - 1]``."""
    between = (values[:, 1:] + values[:, :-1]) / 2
    return torch.cat([values[:, :1], torch.stack([between, values[:, 1:]], dim=2).flatten(1)], dim=1)


def _doubled_ranks(padded: torch.Tensor, t: int) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Rank of each value in each tile that holds it, times two, so that equal values can share a mean rank.

    Twice the rank from zero is the number of lesser values in the tile plus that of other values not greater. Sorting
    each tile by itself would compare the same two patches in every tile that holds both; here they are compared once,
    and running sums count for each tile, in integers that may overflow and return.

    Args:
        padded: ``[channel, row, column]``.

    Yields:
        A position ``i, j`` in a tile, and integers ``[channel, row, column]``: the ranks of those values that have a
        whole tile around them when they are at that position of it; other ranks have no meaning.
    """
    reach, rank_type = t - 1, _rank_type(t)
    height, width = padded.shape[1:]
    around = torch.nn.functional.pad(padded, (reach,) * 4)
    by_row = []
    for i in range(2 * t - 1):
        beaten = []
        for j in range(2 * t - 1):
            other = around[:, i : i + height, j : j + width]
            beats = (padded > other).view(torch.uint8) + (padded >= other).view(torch.uint8)
            beaten.append(beats.to(rank_type))
        by_row.append(_running_sums(beaten, t))
    for j, of_rows in enumerate(zip(*by_row, strict=True)):
        for i, ranks in enumerate(_running_sums(of_rows, t)):
            yield reach - i, reach - j, ranks - 1  # the value itself is not greater than itself


def _running_sums(terms: Sequence[torch.Tensor], count: int) -> list[torch.Tensor]:
    """Sums of each ``count`` terms in a row."""
    sums = [reduce(torch.add, terms[:count])]
    for before, after in zip(terms, terms[count:], strict=False):
        sums.append(sums[-1] - before + after)
    return sums
