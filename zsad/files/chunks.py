"""Divide datasets with one patch grid per image into chunks, and check the grids when they are read."""

from __future__ import annotations

from typing import Any

import numpy as np

CHUNK_ENTRY = 64  # most bytes for a chunk's entry in the file
CHUNK_WASTE = 1.25  # most space of chunks, as a multiple of their content
CHUNK_SIDES = (1, 2, 4, 8, 16, 32)  # tried sides, in patches, besides those of some grids
CHUNK_TRIALS = 32


def chunked(
    grid_sizes: np.ndarray, *, before: tuple[int, ...], after: tuple[int, ...], patch_bytes: int
) -> dict[str, Any]:
    """Choose chunks for a dataset ``[*before, row, column, *after]``, so that it takes about the space of its content.

    HDF5 stores only chunks that were written to. If all grids are equal, each image is one chunk.
    """
    rows, columns = (int(side) for side in grid_sizes.max(axis=0))
    height, width = _chunk_sides(grid_sizes, patch_bytes)
    settings: dict[str, Any] = {"chunks": (*before, height, width, *after)}
    if (height, width) != (rows, columns):  # with two unlimited axes, HDF5 does not list all possible chunks
        settings["maxshape"] = (None, *before[1:], None, None, *after)
    return settings


def _chunk_sides(grid_sizes: np.ndarray, patch_bytes: int) -> tuple[int, int]:
    """Height and width in patches of the largest chunks that take little more space than their content."""
    grids = grid_sizes.astype(np.int64)
    rows, columns = grids.max(axis=0)
    content = int(grids.prod(axis=1).sum()) * patch_bytes

    def counted(height: int, width: int) -> int:
        return int((-(-grids[:, 0] // height) * -(-grids[:, 1] // width)).sum())

    def space(height: int, width: int) -> int:
        return counted(height, width) * (height * width * patch_bytes + CHUNK_ENTRY)

    heights, widths = (
        sorted({*CHUNK_SIDES, *np.unique(axis)[:CHUNK_TRIALS].tolist(), int(largest)})
        for axis, largest in zip(grids.T, (rows, columns), strict=True)
    )
    sides = [(height, width) for height in heights for width in widths if height <= rows and width <= columns]
    sparing = [each for each in sides if space(*each) <= CHUNK_WASTE * content]
    return min(sparing, key=lambda each: counted(*each)) if sparing else min(sides, key=lambda each: space(*each))


def require_grids(grid_sizes: np.ndarray, largest: tuple[int, ...]) -> None:
    """Raise a `ValueError` unless the largest grid, rows and columns, is that of the dataset."""
    if len(grid_sizes) and (grid_sizes.min() < 1 or tuple(grid_sizes.max(axis=0).tolist()) != largest):
        raise ValueError("its grids do not match its patches")
