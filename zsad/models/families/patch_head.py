"""See `zsad.models.families.pooling_head.patch_head`."""

from __future__ import annotations

from typing import Any

import torch


class PatchHead(torch.nn.Module):
    """A head of attention pooling for single patches; it shares its weights with the image head.

    Args:
        head: of SigLIP, with ``attention`` (``torch.nn.MultiheadAttention``), ``layernorm`` and ``mlp``.
    """

    def __init__(self, head: torch.nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Patch tokens ``[..., channel]`` after the final LayerNorm, in the space of texts."""
        head: Any = self.head
        attention = head.attention
        width = tokens.shape[-1]
        weight, bias = attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
        attended = attention.out_proj(torch.nn.functional.linear(tokens, weight, bias))
        result: torch.Tensor = attended + head.mlp(head.layernorm(attended))
        return result
