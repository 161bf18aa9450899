"""The interface of a convolutional network for the extractor: maps of chosen layers, and their training statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zsad.features.cnn.places import MapLayer

Padding = Literal["zeros", "replicate"]  # the padding of maps beyond their border


class Moments(NamedTuple):
    """Statistics of a map's channels in training: mean and standard deviation, float32 ``[channel]``."""

    mean: Tensor
    deviation: Tensor


class Trunk(NamedTuple):
    """A network ready for inference: batch norms fused, and without layers after the last kept one.

    Attributes:
        network: maps normalised images ``[image, 3, height, width]``, with sides that are multiples of ``multiple``, to
            the maps of the kept layers, ``[image, channel, row, column]`` each.
        layers: the kept layers, in the order of the maps.
        moments: of each kept layer.
        multiple: the largest computed stride, pixels.
        pixel_mean, pixel_scale: of uint8 values, per colour: the mean is subtracted, then values are divided by the
            scale.
    """

    network: nn.Module
    layers: Sequence[MapLayer]
    moments: Sequence[Moments]
    multiple: int
    pixel_mean: Sequence[float]
    pixel_scale: Sequence[float]

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of the network."""
        return self.network.parameters()

    def buffers(self) -> Iterator[Tensor]:
        """Of the network."""
        return self.network.buffers()


def fused(owner: nn.Module, convolution: str, norm: str) -> None:
    """Fuse a batch norm into the convolution before it, in place.

    Args:
        convolution, norm: names of the attributes of ``owner``.
    """
    with torch.no_grad():
        setattr(owner, convolution, fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm)))
    setattr(owner, norm, nn.Identity())
