"""What a convolutional network is to the extractor: maps of chosen layers, and what their values are in training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zsad.features.cnn.places import MapLayer

Padding = Literal["zeros", "replicate"]  # what maps are continued by beyond their border


class Moments(NamedTuple):
    """Of the channels of a map in training: mean and standard deviation, float32 ``[channel]``."""

    mean: Tensor
    deviation: Tensor


class Trunk(NamedTuple):
    """A network that is ready: batch norms fused, and without what is behind the last kept layer.

    Attributes:
        network: normalised images ``[image, 3, height, width]``, both sides multiples of ``multiple``, to the maps of
            the kept layers, ``[image, channel, row, column]`` each.
        layers: the kept layers, in the order of the maps.
        moments: of each of them.
        multiple: the largest stride of what is computed, pixels.
        pixel_mean, pixel_scale: of uint8 values, for each of the colours: the mean is taken off, the rest divided.
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
    """Make a batch norm part of the convolution before it, in place.

    Args:
        convolution, norm: names of the attributes of ``owner``.
    """
    with torch.no_grad():
        setattr(owner, convolution, fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm)))
    setattr(owner, norm, nn.Identity())
