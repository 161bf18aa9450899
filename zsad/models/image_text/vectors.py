"""Vectors of several widths in one array: zero padding of shorter ones changes neither lengths nor cosines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsad.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def padded(vectors: Tensor, channels: int) -> Tensor:
    """Pad each vector ``[..., channel]`` with zeros to ``channels`` channels."""
    return torch.nn.functional.pad(vectors, (0, channels - vectors.shape[-1]))


def image_vectors(vectors: Tensor, layers: int, channels: int) -> Tensor:
    """Repeat the vectors of whole images ``[image, channel]`` for each layer, ``[image, layer, channel]``."""
    return padded(vectors, channels)[:, None].expand(-1, layers, -1)
