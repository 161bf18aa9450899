"""The constant channel, without which cosine similarity sees nothing of where a convolutional network is silent.

Standardised responses of a flat region are near zero. Normalised to unit length they are noise of full strength, so
that flat regions differ from each other as much as structures do. A constant beside the responses keeps what is near
zero together: for small responses cosine similarity then falls with the Euclidean distance.

Networks that norm each place by itself need none, and it would hardly help them: vision transformers, and ConvNeXts,
which have a LayerNorm over the channels of a place in their stem, in every block and between stages. Their tokens of
flat regions are about as long as those of structures, also of stages whose output is not normed, so that a constant
would bring all distances nearer alike.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zsad.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

# In deviations of a channel; chosen on generated textures by the rule in benchmarks/constant_channel.py.
CONSTANT_WEIGHT = 0.5


def with_constant(tokens: Tensor, weight: float) -> Tensor:
    """Tokens of unit length with a constant channel as the last, as long as ``weight`` times what all channels are.

    Args:
        tokens: ``[..., channel]``, each channel about 0 and of deviation 1.
        weight: of the constant, at least 0, in deviations of a channel; with 0 it changes no direction.

    Returns:
        ``[..., channel + 1]``.
    """
    channels = tokens.shape[-1]
    constant = tokens.new_full((*tokens.shape[:-1], 1), weight * math.sqrt(channels))
    return torch.nn.functional.normalize(torch.cat([tokens, constant], dim=-1), dim=-1)
