"""Learned positions of a square grid of patches, brought to another grid in the way of one repository or another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from zsad.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

Positions = Literal["authors", "transformers", "offset", "bicubic", "bilinear", "antialiased"]

# DINO and DINOv2 without registers, which both aim at that many patches more along each side ("we add a small number
# to avoid floating point error"): facebookresearch/dino, ``vision_transformer.py``, and facebookresearch/dinov2,
# ``dinov2/models/vision_transformer.py`` with the settings of ``dinov2/hub/backbones.py``.
OFFSET = 0.1
# `transformers`; AnomalyCLIP and other code that is made from OpenAI's; open_clip (resize_pos_embed). All of them put
# corners at the corners of the outer patches (align_corners is False).
MODES: dict[Positions, dict[str, Any]] = {
    "transformers": {"mode": "bicubic", "antialias": False},
    "offset": {"mode": "bicubic", "antialias": False},
    "bicubic": {"mode": "bicubic", "antialias": False},
    "bilinear": {"mode": "bilinear", "antialias": False},
    "antialiased": {"mode": "bicubic", "antialias": True},
}


def positions_for(positions: Tensor, rows: int, columns: int, how: Positions) -> Tensor:
    """Positions for the class token and a grid of ``rows x columns`` patches.

    Args:
        positions: as learned, ``[1 + patch, channel]``; the class token's is the first, and the patches make a square.
        how: any but ``"authors"``, which is a way only once a model is known.

    Returns:
        ``[1 + rows * columns, channel]``; the very ones that were learned where the grid is theirs.
    """
    side = math.isqrt(len(positions) - 1)
    if (rows, columns) == (side, side):
        return positions
    target: dict[str, Any] = {"size": (rows, columns)}
    if how == "offset":  # the factors, not the size, then tell where a patch lies
        target = {"scale_factor": ((rows + OFFSET) / side, (columns + OFFSET) / side)}
    plane = positions[1:].T.reshape(1, -1, side, side)
    resized = torch.nn.functional.interpolate(plane, **target, align_corners=False, **MODES[how])
    # Fails on any other size than the one asked for.
    return torch.cat([positions[:1], resized.reshape(-1, rows * columns).T])


def interpolate_by(embeddings: Any, learned: Callable[[], Tensor], patch: int, how: Positions) -> None:
    """Have a network of ``transformers`` bring its positions to other grids in another way than its own.

    Args:
        embeddings: its module of embeddings, which asks itself for its positions by ``interpolate_pos_encoding``.
        learned: returns its positions, ``[1 + patch, channel]``.
        patch: side of a patch, pixels.
        how: see `positions_for`.
    """

    def interpolated(tokens: Tensor, height: int, width: int) -> Tensor:
        return positions_for(learned(), height // patch, width // patch, how)[None]

    embeddings.interpolate_pos_encoding = interpolated
