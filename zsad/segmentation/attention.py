"""The attention of SAM's image encoder on CPUs: in blocks of queries, so that a block's scores stay in the cache.

The libraries write the scores of all heads and pairs of patches to memory, with the relative positions and once more
after the softmax: 0.8 GB each for ViT-B, which takes as long as the matrix products do.
"""

from __future__ import annotations

from typing import Protocol

import torch

BLOCK_SCORES = 2**21  # scores computed at a time; 4 or 8 MB, about the size of a last-level cache


class Attention(Protocol):
    """``Attention`` of ``segment_anything``, or ``SamVisionAttention`` of ``transformers``."""

    qkv: torch.nn.Module
    proj: torch.nn.Module
    rel_pos_h: torch.Tensor
    rel_pos_w: torch.Tensor
    scale: float


class _Blocked(torch.nn.Module):
    """Multi-head attention with decomposed relative positions (Li et al., MViTv2, CVPR 2022) on a grid of patches.

    It replaces the attention of the libraries and uses its tensors under their names.

    Args:
        attention: module of a library.
        heads: number of heads.
    """

    def __init__(self, attention: Attention, heads: int) -> None:
        super().__init__()
        self.qkv, self.proj = attention.qkv, attention.proj
        self.rel_pos_h, self.rel_pos_w = attention.rel_pos_h, attention.rel_pos_w
        self._heads, self._scale = heads, attention.scale

    def attended(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Attention output of patches ``[image or window, row, column, channel]``, of the same shape."""
        batch, rows, columns, channels = hidden_states.shape
        # The order of the axes is [query, key or value, window and head, patch, channel of the head].
        parts = self.qkv(hidden_states).view(batch, rows * columns, 3, self._heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4).reshape(3, batch * self._heads, rows * columns, -1)
        attended = torch.empty_like(query)
        by_row, by_column = self._positions(query.unflatten(1, (rows, columns)))
        query, key = query * self._scale, key.transpose(1, 2)
        together = max(BLOCK_SCORES // (rows * columns) ** 2, 1)  # windows and heads
        length = max(BLOCK_SCORES // (together * rows * columns), 1)  # queries
        for first in range(0, len(query), together):
            some = slice(first, first + together)
            for start in range(0, rows * columns, length):
                block = some, slice(start, start + length)
                scores = query[block] @ key[some]
                grid = scores.unflatten(2, (rows, columns))
                grid += by_row[block][..., None]
                grid += by_column[block][..., None, :]
                torch.matmul(scores.softmax(dim=-1), value[some], out=attended[block])
        attended = attended.view(batch, self._heads, rows, columns, -1).permute(0, 2, 3, 1, 4)
        projected: torch.Tensor = self.proj(attended.reshape(batch, rows, columns, channels))
        return projected

    def _positions(self, query: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Relative-position scores of queries ``[window and head, row, column, channel]`` with each axis of keys.

        Returns:
            ``[window and head, patch, row of keys]`` and ``[window and head, patch, column of keys]``.
        """
        rows, columns = query.shape[1:3]
        by_row = torch.einsum("brcd,rkd->brck", query, _by_distance(self.rel_pos_h, rows))
        by_column = torch.einsum("brcd,ckd->brck", query, _by_distance(self.rel_pos_w, columns))
        return by_row.flatten(1, 2), by_column.flatten(1, 2)


class BlockedAttention(_Blocked):
    """Blocked attention with the interface of ``segment_anything``."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """See `_Blocked.attended`."""
        return self.attended(hidden_states)


class BlockedSamAttention(_Blocked):
    """Blocked attention with the outputs of ``transformers``, without attention weights."""

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Attention output of patches ``[image or window, row, column, channel]``, of the same shape, and None."""
        return self.attended(hidden_states), None


def _by_distance(table: torch.Tensor, length: int) -> torch.Tensor:
    """Entries of a table of ``2 length - 1`` distances for every pair on an axis: ``[query, key, channel]``."""
    places = torch.arange(length, device=table.device)
    return table[places[:, None] - places + length - 1]
