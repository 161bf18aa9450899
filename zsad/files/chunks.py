"""How datasets with a patch grid an image are cut into chunks, and whether what is read has such grids."""

from __future__ import annotations

from typing import Any

import numpy as np

CHUNK_ENTRY = 64  # bytes that a file takes to list a chunk, at most
CHUNK_WASTE = 1.25  # times its content, which chunks may take
CHUNK_SIDES = (1, 2, 4, 8, 16, 32)  # that are tried, in patches, beside those of some grids
CHUNK_TRIALS = 32


def chunked(
    grid_sizes: np.ndarray, *, before: tuple[int, ...], after: tuple[int, ...], patch_bytes: int
) -> dict[str, Any]:
    """How a dataset ``[*before, row, column, *after]`` is cut, so that it takes about the space of its content.

    HDF5 stores the pieces that something was written to. Where all grids are alike, each image is one.
    """
    rows, columns = (int(side) for side in grid_sizes.max(axis=0))
    height, width = _chunk_sides(grid_sizes, patch_bytes)
    settings: dict[str, Any] = {"chunks": (*before, height, width, *after)}
    if (height, width) != (rows, columns):  # with two such axes, HDF5 makes no list of all pieces that there might be
        settings["maxshape"] = (None, *before[1:], None, None, *after)
    return settings


def _chunk_sides(grid_sizes: np.ndarray, patch_bytes: int) -> tuple[int, int]:
    """The fewest chunks, by height and width in patches, that take little more space than what is in them."""
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
        raise ValueError("its grids are not those of its patches")
