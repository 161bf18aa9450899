"""What is assumed of a network of which little is known: that it is a vision transformer of the usual proportions.

It serves the requests of jobs alone, which must be large enough; no result depends on it.
"""

from __future__ import annotations

import math

UNKNOWN_WEIGHTS = 1200  # MB of a network of which nothing is known: about a ViT-L
USUAL_PATCH, USUAL_SIDE = 16, 28  # pixels of a patch's side; patches along the short side of an image
USUAL_BLOCKS, BLOCK_WEIGHTS = 12, 12  # of a ViT; weights of a block in squares of its width
WEIGHT_BYTES = 4
ACTIVATION_BYTES = 4 * 24  # a patch and channel: the widest place of a block in float32
PIXEL_BYTES = 2 * 3 * 4  # an image as float32 RGB, twice


def assumed_width(megabytes: int) -> int:
    """Channels of a ViT with so many MB of weights in float32."""
    return round(math.sqrt(megabytes * 1e6 / WEIGHT_BYTES / USUAL_BLOCKS / BLOCK_WEIGHTS)) or 1


def assumed_operations(width: int, tokens: int) -> float:
    """Multiplications and additions of a ViT of a width for so many tokens: those of its weights, and of attention."""
    return USUAL_BLOCKS * (2.0 * BLOCK_WEIGHTS * width**2 * tokens + 4.0 * width * tokens**2)
