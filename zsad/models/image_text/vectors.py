"""Vectors of several widths in one array: the shorter ones end in zeros, which changes neither lengths nor cosines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsad.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def padded(vectors: Tensor, channels: int) -> Tensor:
    """``[..., channel]`` with zeros at the end of each vector, up to ``channels`` of them."""
    return torch.nn.functional.pad(vectors, (0, channels - vectors.shape[-1]))


def image_vectors(vectors: Tensor, layers: int, channels: int) -> Tensor:
    """The vectors of whole images ``[image, channel]`` for each of so many layers, ``[image, layer, channel]``."""
    return padded(vectors, channels)[:, None].expand(-1, layers, -1)
