"""Assumptions about a mostly unknown network: a vision transformer with the usual proportions.

They are only used for the requests of jobs, which must be large enough; no result depends on them.
"""

from __future__ import annotations

import math

UNKNOWN_WEIGHTS = 1200  # MB of an unknown network: about a ViT-L
USUAL_PATCH, USUAL_SIDE = 16, 28  # pixels of a patch's side; patches along the short side of an image
USUAL_BLOCKS, BLOCK_WEIGHTS = 12, 12  # of a ViT; weights of a block in units of its squared width
WEIGHT_BYTES = 4
ACTIVATION_BYTES = 4 * 24  # per patch and channel: the widest point of a block in float32
PIXEL_BYTES = 2 * 3 * 4  # per pixel: an image as float32 RGB, twice


def assumed_width(megabytes: int) -> int:
    """Channels of a ViT with this many MB of weights in float32."""
    return round(math.sqrt(megabytes * 1e6 / WEIGHT_BYTES / USUAL_BLOCKS / BLOCK_WEIGHTS)) or 1


def assumed_operations(width: int, tokens: int) -> float:
    """Multiplications and additions of a ViT of this width for ``tokens`` tokens: of its weights, and of attention."""
    return USUAL_BLOCKS * (2.0 * BLOCK_WEIGHTS * width**2 * tokens + 4.0 * width * tokens**2)
