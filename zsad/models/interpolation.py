"""Interpolate learned positions of a square grid of patches to another grid; see `zsad.models.positions`.

It imports torch at the top, since an import during compilation breaks a network's graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zsad.models.positions import MODES, OFFSET, Positions


def positions_for(positions: Tensor, rows: int, columns: int, how: Positions) -> Tensor:
    """Positions for the class token and a grid of ``rows x columns`` patches.

    Args:
        positions: as learned, ``[1 + patch, channel]``; the class token's is the first, and the patches make a square.
        how: any but ``"authors"``, which depends on the model.

    Returns:
        ``[1 + rows * columns, channel]``; unchanged positions for their own grid.
    """
    side = math.isqrt(len(positions) - 1)
    if (rows, columns) == (side, side):
        return positions
    target: dict[str, Any] = {"size": (rows, columns)}
    if how == "offset":  # the factors, not the size, then determine the positions
        target = {"scale_factor": ((rows + OFFSET) / side, (columns + OFFSET) / side)}
    plane = positions[1:].T.reshape(1, -1, side, side)
    resized = torch.nn.functional.interpolate(plane, **target, align_corners=False, **MODES[how])
    # Fails on any other size than the requested one.
    return torch.cat([positions[:1], resized.reshape(positions.shape[1], rows * columns).T])


def interpolate_by(embeddings: Any, learned: Callable[[], Tensor], patch: int, how: Positions) -> None:
    """Set the interpolation of positions of a network of ``transformers``.

    Args:
        embeddings: its module of embeddings, which gets its positions from ``interpolate_pos_encoding``.
        learned: returns its positions, ``[1 + patch, channel]``.
        patch: side of a patch, pixels.
        how: see `positions_for`.
    """

    def interpolated(tokens: Tensor, height: int, width: int) -> Tensor:
        return positions_for(learned(), height // patch, width // patch, how)[None]

    embeddings.interpolate_pos_encoding = interpolated
