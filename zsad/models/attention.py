"""Attention on CPUs, in blocks of queries, so that a block's scores stay in the cache.

PyTorch's fused attention is optimised for GPUs; in bfloat16 on a CPU it takes as long as in float32, and the plain
formula writes all ``[head, token, token]`` scores to memory.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

BLOCKED = "zsad_blocked"  # the name by which transformers finds it
BLOCK_QUERIES = 128  # with 6 to 16 heads and 800 to 1800 tokens, 1 to 5 MB of scores, which fit an L2 or L3 cache

MOST_SCORES = 2**23  # computed at a time, for many or large images


def blocked_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Softmax attention without dropout, in the signature of ``transformers``' attention interface.

    Args:
        query, key, value: ``[image, head, token, channel]``.
        attention_mask: added to the scores, broadcast to ``[image, head, token, token]``; None for none.
        scaling: factor of the scores; None for ``channel ** -0.5``.

    Returns:
        ``[image, token, head, channel]``, and no attention weights.
    """
    number_format = _number_format(query)
    queries = (query * (query.shape[-1] ** -0.5 if scaling is None else scaling)).to(number_format)
    keys, values = key.to(number_format).transpose(-1, -2), value.to(number_format).contiguous()
    images, heads, tokens, channels = query.shape
    attended = torch.empty(images, tokens, heads, channels, dtype=number_format, device=query.device)
    together = max(1, min(BLOCK_QUERIES, MOST_SCORES // (images * heads * tokens)))
    for start in range(0, tokens, together):
        block = slice(start, start + together)
        scores = torch.matmul(queries[:, :, block], keys)
        if attention_mask is not None:
            scores = scores + attention_mask[..., block, :]
        attended[:, block] = torch.matmul(torch.softmax(scores, dim=-1), values).transpose(1, 2)
    return attended, None


def _number_format(query: torch.Tensor) -> torch.dtype:
    device = query.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype


AttentionInterface.register(BLOCKED, blocked_attention)
AttentionMaskInterface.register(BLOCKED, sdpa_mask)
