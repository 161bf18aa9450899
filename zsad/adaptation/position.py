"""Code of the position of a patch in its image, as input of a network."""

from __future__ import annotations

import math

from zsad.lazy import torch

FREQUENCIES = 8  # along each axis
LOWEST, HIGHEST = 0.5, 8.0  # waves across the image: the lowest distinguishes both ends
POSITION_WIDTH = 4 * FREQUENCIES


def position_code(rows: int, columns: int) -> torch.Tensor:
    """Sines and cosines of the places of all cells of a grid, row by row: float32 ``[row * column, 32]``, on the CPU.

    A place is that of a cell's centre, as a share of the image's height and width, so that a code means the same on
    every grid. Each axis has a sine and a cosine of 8 waves, in geometric steps from half a wave across the image to 8
    (Gudovskiy et al., WACV 2022, condition on 128 such numbers of the index of a cell).
    """
    waves = torch.logspace(math.log10(LOWEST), math.log10(HIGHEST), FREQUENCIES, dtype=torch.float64)
    down = _along(rows, waves)[:, None].expand(-1, columns, -1)
    across = _along(columns, waves)[None].expand(rows, -1, -1)
    return torch.cat([down, across], dim=2).flatten(0, 1).float()


def _along(cells: int, waves: torch.Tensor) -> torch.Tensor:
    """Sines and cosines of the places along an axis: ``[cell, 2 * wave]``."""
    places = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    angles = 2 * math.pi * places[:, None] * waves
    return torch.cat([angles.sin(), angles.cos()], dim=1)
