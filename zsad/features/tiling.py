"""Cut images that are too large for a network into overlapping tiles, and blend their tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from zsad.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


class Tile(NamedTuple):
    """A part of a grid: its first row and column, and its numbers of rows and columns."""

    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class TilePlan:
    """The division of a patch grid into tiles.

    Attributes:
        rows, columns: of the grid.
        tile: side of a tile, patches; the grid's own side if that is smaller.
        overlap: patches by which neighbouring tiles overlap; the last of a row or column overlaps by more, since it
            ends with the grid.
    """

    rows: int
    columns: int
    tile: int
    overlap: int

    def tiles(self) -> Iterator[Tile]:
        """All tiles, row by row."""
        height, width = min(self.tile, self.rows), min(self.tile, self.columns)
        starts = (tile_starts(length, self.tile, self.overlap) for length in (self.rows, self.columns))
        return (Tile(row, column, height, width) for row, column in product(*starts))

    def weights(self, tile: Tile) -> Tensor:
        """The weights of a tile for the tokens of its patches, before normalisation to a sum of 1.

        They decrease linearly towards the tile's edge within the overlap, and are 1 elsewhere; at the grid's edge,
        without another tile, they do not decrease.

        Returns:
            float32 ``[row, column]``.
        """
        along_rows = _ramp(tile.row, tile.rows, self.rows, self.overlap)
        along_columns = _ramp(tile.column, tile.columns, self.columns, self.overlap)
        return along_rows[:, None] * along_columns[None, :]

    def blended(self, tokens_of: Callable[[Tile], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """The tokens of the whole grid, computed tile by tile, with only one tile in memory at a time.

        Args:
            tokens_of: returns the patch tokens ``[image, layer, row, column, channel]`` of a tile, and its class tokens
                ``[image, layer, channel]``.

        Returns:
            Patch tokens of the grid, each the weighted mean over the tiles that cover it, and the class tokens' mean
            over the tiles; float32.
        """
        total: Tensor | None = None
        class_tokens = []
        for tile in self.tiles():
            patch_tokens, cls = tokens_of(tile)
            class_tokens.append(cls.float())
            if total is None:
                images, layers, *_, channels = patch_tokens.shape
                total = torch.zeros(images, layers, self.rows, self.columns, channels, device=patch_tokens.device)
                shares = torch.zeros(self.rows, self.columns, device=patch_tokens.device)
            weights = self.weights(tile).to(total.device)
            place = (slice(tile.row, tile.row + tile.rows), slice(tile.column, tile.column + tile.columns))
            total[:, :, *place] += patch_tokens * weights[..., None]
            shares[place] += weights
        if total is None:
            raise ValueError("the grid has no tiles")
        return total.div_(shares[..., None]), torch.stack(class_tokens).mean(dim=0)


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """The first positions of the tiles along one side of a grid.

    Args:
        length: of the side, patches.
        tile: side of a tile, patches.
        overlap: of neighbouring tiles, patches; less than ``tile``.
    """
    if length <= tile:
        return [0]
    return [*range(0, length - tile, tile - overlap), length - tile]


def _ramp(start: int, length: int, whole: int, overlap: int) -> Tensor:
    """float32 ``[length]``: 1, decreasing towards ends inside the whole side."""
    position = torch.arange(length, dtype=torch.float32)
    ramp = torch.ones(length)
    if start > 0:
        ramp = torch.minimum(ramp, (position + 1) / (overlap + 1))
    if start + length < whole:
        ramp = torch.minimum(ramp, (length - position) / (overlap + 1))
    return ramp
