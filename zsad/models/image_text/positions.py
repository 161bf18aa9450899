"""Learned positions of a square grid of patches, brought to another grid in the way of one repository or another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from zsad.lazy import torch
from zsad.models.image_text.options import Positions

if TYPE_CHECKING:
    from torch import Tensor

# `transformers` (CLIPVisionEmbeddings); AnomalyCLIP and other code that is made from OpenAI's; open_clip
# (resize_pos_embed). All three put corners at the corners of the outer patches (align_corners is False).
MODES: Mapping[Positions, Mapping[str, Any]] = MappingProxyType(
    {
        "bicubic": {"mode": "bicubic", "antialias": False},
        "bilinear": {"mode": "bilinear", "antialias": False},
        "antialiased": {"mode": "bicubic", "antialias": True},
    }
)


def positions_for(positions: Tensor, rows: int, columns: int, how: Positions) -> Tensor:
    """Positions for the class token and a grid of ``rows x columns`` patches.

    Args:
        positions: as learned, ``[1 + patch, channel]``; the class token's is the first, and the patches make a square.

    Returns:
        ``[1 + rows * columns, channel]``; the very ones that were learned where the grid is theirs.
    """
    side = math.isqrt(len(positions) - 1)
    if (rows, columns) == (side, side):
        return positions
    plane = positions[1:].T.reshape(1, -1, side, side)
    resized = torch.nn.functional.interpolate(plane, size=(rows, columns), align_corners=False, **MODES[how])
    return torch.cat([positions[:1], resized[0].flatten(1).T])
