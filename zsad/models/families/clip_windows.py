"""The vectors of all windows of an image, as in WinCLIP (Jeong et al., CVPR 2023, section 4.2).

A window is a square of neighbouring patches. Its vector is that of an image with only these patches: the class token
and these patches pass the network, with their positions in the whole image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zsad.lazy import torch
from zsad.models.families.clip_tower import ClipReader, ClipTower
from zsad.models.image_text.options import window_layers
from zsad.models.image_text.vectors import padded

if TYPE_CHECKING:
    from torch import Tensor

# Tokens computed at a time: enough for large matrix products, but on a CPU few enough for its caches.
TOKENS_AT_A_TIME = {"cpu": 2048, "mps": 16384, "cuda": 65536}


class WindowsReader(ClipReader):
    """Reads the windows of several sizes, one layer each, and the last block's patches as the last layer.

    Windows of one size make one batch of short sequences, so that the matrix products are large. Two steps are done
    once instead of per window: the first block's projections of a token are equal in all windows, and only the class
    token of the last block is needed.

    Args:
        windows: their sides, patches.
    """

    def __init__(self, tower: ClipTower, windows: Sequence[int], *, channels: int) -> None:
        super().__init__(tower, window_layers(windows), channels)
        self._windows = tuple(windows)

    def computed(self, rows: int, columns: int) -> int:
        """See `TokenReader.computed`."""
        return rows * columns + sum(window_tokens(rows, columns, side) for side in self._windows)

    def _layers_and_vectors(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        rows, columns = (side // self.patch for side in pixels.shape[-2:])
        embedded = self._tower.embedded(pixels)
        first = self._tower.blocks[0]
        normed = first.layer_norm1(embedded)
        alone = [projection(normed) for projection in _projections(first)]
        layers = [self._window_layer(embedded, alone, rows, columns, side) for side in self._windows]
        state = embedded
        for block in self._tower.blocks:
            state = block(state, None)
        return [*layers, state[:, 1:]], self._tower.vectors(state[:, 0])

    def _window_layer(self, embedded: Tensor, alone: Sequence[Tensor], rows: int, columns: int, side: int) -> Tensor:
        """``[image, patch, channel]``: each window at its top left patch, zeros elsewhere.

        Args:
            alone: the first block's projections of each token: queries, keys and values.
        """
        vectors = self._window_vectors(embedded, alone, windows_of(rows, columns, side).to(embedded.device))
        layer = embedded.new_zeros(len(embedded), rows, columns, self.channels)
        begun = (rows - side + 1, columns - side + 1)
        layer[:, : begun[0], : begun[1]] = padded(vectors, self.channels).unflatten(1, begun).to(layer.dtype)
        return layer.flatten(1, 2)

    def _window_vectors(self, embedded: Tensor, alone: Sequence[Tensor], windows: Tensor) -> Tensor:
        """``[image, window, channel]``, for the windows ``[window, token]`` of all images."""
        at_a_time = max(1, TOKENS_AT_A_TIME[embedded.device.type] // (len(embedded) * windows.shape[1]))
        classes = [self._class_tokens(embedded, alone, part) for part in windows.split(at_a_time)]
        return self._tower.projected(torch.cat(classes, dim=1))

    def _class_tokens(self, embedded: Tensor, alone: Sequence[Tensor], windows: Tensor) -> Tensor:
        """The last block's class tokens, ``[image, window, channel]``."""
        tokens = embedded[:, windows].flatten(0, 1)
        queries, keys, values = (part[:, windows].flatten(0, 1) for part in alone)
        last = len(self._tower.blocks) - 1
        for place, block in enumerate(self._tower.blocks):
            wanted = 1 if place == last else tokens.shape[1]
            if place:
                normed = block.layer_norm1(tokens)
                query, key, value = _projections(block)
                queries, keys, values = query(normed[:, :wanted]), key(normed), value(normed)
            attended = short_attention(queries[:, :wanted], keys, values, self._tower.heads)
            tokens = tokens[:, :wanted] + block.self_attn.out_proj(attended)
            tokens = tokens + block.mlp(block.layer_norm2(tokens))
        classes: Tensor = tokens[:, 0].unflatten(0, (len(embedded), -1))
        return classes


def windows_of(rows: int, columns: int, side: int) -> Tensor:
    """The tokens of each window, int64 ``[window, 1 + side ** 2]``: the class token and the patches, row by row.

    Args:
        rows, columns: of the patch grid; a patch is token ``1 + row * columns + column``.
        side: of a window, patches.
    """
    places = 1 + torch.arange(rows * columns).reshape(rows, columns)
    patches = places.unfold(0, side, 1).unfold(1, side, 1).reshape(-1, side**2)
    return torch.nn.functional.pad(patches, (1, 0))


def window_tokens(rows: int, columns: int, side: int) -> int:
    """Total number of tokens of the windows of one size."""
    return (rows - side + 1) * (columns - side + 1) * (1 + side**2)


def short_attention(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """Softmax attention within many short sequences, ``[sequence, token, channel]`` each.

    PyTorch's fused attention is optimised for long sequences; the plain formula is faster for those of ten tokens.
    """
    query, key, value = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (queries, keys, values))
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-1, -2))
    return torch.matmul(torch.softmax(scores, dim=-1).to(value.dtype), value).transpose(1, 2).flatten(2)


def _projections(block: Any) -> tuple[Any, Any, Any]:
    """A block's linear maps to queries, keys and values."""
    attention = block.self_attn
    return attention.q_proj, attention.k_proj, attention.v_proj
