"""Patch tokens by a second path through CLIP, in which patches attend to patches with the same content.

MaskCLIP (Zhou et al., ECCV 2022) omits the last block's queries and keys; CLIP Surgery (Li et al., 2023) and
AnomalyCLIP (Zhou et al., ICLR 2024, "DPAM") replace them by the values, in several blocks and parallel to the original
path, which is unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zsad.lazy import torch
from zsad.models.families.clip_tower import ClipReader, ClipTower

if TYPE_CHECKING:
    from torch import Tensor


class ValuesReader(ClipReader):
    """Reads the second path after chosen blocks, in the space of texts.

    At its first block the second path is ``y = x + A(LN(x))``, and from then on ``y += A(LN(x))``, where ``x`` is the
    original path's input to that block, and ``A`` the block's attention with its values also as queries and keys, and
    its output projection. There are no perceptrons. So the path after the last block is the sum of all its blocks'
    outputs, and earlier layers are partial sums.

    Args:
        chosen: the blocks, counted from 0; none before ``first``.
        first: the first block of the second path, counted from 0.
    """

    def __init__(self, tower: ClipTower, chosen: Sequence[int], *, channels: int, first: int) -> None:
        super().__init__(tower, [str(block) for block in chosen], channels)
        self._chosen, self._first = tuple(chosen), first

    def _layers_and_vectors(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        state = self._tower.embedded(pixels)
        second = None
        kept = {}
        for place, block in enumerate(self._tower.blocks):
            if self._first <= place <= max(self._chosen):
                added = value_attention(block.self_attn, block.layer_norm1(state))
                second = (state if second is None else second) + added
                if place in self._chosen:
                    kept[place] = self._tower.projected(second[:, 1:])
            state = block(state, None)
        return [kept[place] for place in self._chosen], self._tower.vectors(state[:, 0])


def value_attention(attention: Any, tokens: Tensor) -> Tensor:
    """A block's attention with values also as queries and keys, including the class token.

    Args:
        attention: of ``transformers``, ``CLIPAttention``.
        tokens: after the block's first LayerNorm, ``[image, token, channel]``.
    """
    # It imports transformers.
    from zsad.models.attention import BLOCKED, blocked_attention

    values = attention.v_proj(tokens).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
    if attention.config._attn_implementation == BLOCKED:
        attended, _ = blocked_attention(attention, values, values, values, None)
    else:
        attended = torch.nn.functional.scaled_dot_product_attention(values, values, values).transpose(1, 2)
    projected: Tensor = attention.out_proj(attended.flatten(2))
    return projected
