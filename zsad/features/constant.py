"""The constant channel, which cosine similarity needs where a convolutional network has no response.

Standardised responses of a flat region are near zero. Normalised to unit length they become noise of full strength, so
that flat regions differ from each other as much as structures do. An additional constant channel keeps responses near
zero together: for small responses cosine similarity then decreases with the Euclidean distance.

Networks that normalise each position by itself do not need it, and it would hardly help them: vision transformers, and
ConvNeXts, which have a LayerNorm over the channels of a position in their stem, in every block and between stages.
Their tokens of flat regions are about as long as those of structures, also in stages whose output is not normalised, so
that a constant would reduce all distances equally.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zsad.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

# In standard deviations of a channel; chosen on generated textures by the rule in benchmarks/constant_channel.py.
CONSTANT_WEIGHT = 0.5


def with_constant(tokens: Tensor, weight: float) -> Tensor:
    """Tokens of unit length with a constant last channel, scaled by ``weight`` relative to all other channels.

    Args:
        tokens: ``[..., channel]``, each channel with mean about 0 and standard deviation 1.
        weight: of the constant, at least 0, in standard deviations of a channel; with 0 it changes no direction.

    Returns:
        ``[..., channel + 1]``.
    """
    channels = tokens.shape[-1]
    constant = tokens.new_full((*tokens.shape[:-1], 1), weight * math.sqrt(channels))
    return torch.nn.functional.normalize(torch.cat([tokens, constant], dim=-1), dim=-1)
