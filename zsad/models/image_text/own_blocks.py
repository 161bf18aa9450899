"""Patch tokens and the vector of the whole image from one plain pass of a network: SigLIP, TIPSv2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zsad.lazy import torch
from zsad.models.families.base import KeptOutputs, TokenReader
from zsad.models.image_text.vectors import image_vectors, padded

if TYPE_CHECKING:
    from torch import Tensor, nn


class OwnTokens(NamedTuple):
    """The modules of a network to read.

    Attributes:
        layers: names of the layers.
        modules: one for each layer, whose outputs are ``[image, token, channel]``.
        finish: applied to the patch tokens ``[image, layer, token, channel]`` of all of them.
        last: the module whose output gives the vector of an image.
        vector: computes it, ``[image, channel]``.
        prefix_tokens: class and register tokens before the patch tokens.
        patch: its side, pixels.
        channels: width of a padded token.
        forward_arguments: the network's arguments besides the pixels.
    """

    layers: Sequence[str]
    modules: Sequence[nn.Module]
    finish: Callable[[Tensor], Tensor]
    last: nn.Module
    vector: Callable[[Tensor], Tensor]
    prefix_tokens: int
    patch: int
    channels: int
    forward_arguments: Mapping[str, Any]


class OwnBlocksReader(TokenReader):
    """Reads outputs of a network's own modules, all of which are run for the vector of the image.

    Args:
        network: takes pixels ``[image, 3, height, width]``.
        wanted: the modules to read.
    """

    cls_source = "class token"

    def __init__(self, network: nn.Module, wanted: OwnTokens) -> None:
        self.patch = self.stride = wanted.patch
        self.prefix_tokens = wanted.prefix_tokens
        self.layers = list(wanted.layers)
        self.channels = wanted.channels
        self._network = network
        self._wanted = wanted
        self._kept = KeptOutputs([*wanted.modules, wanted.last])

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """See `TokenReader.__call__`."""
        wanted = self._wanted
        *states, last = self._kept.of(lambda: self._network(pixels, **wanted.forward_arguments))
        tokens = wanted.finish(torch.stack(states, dim=1)[:, :, self.prefix_tokens :])
        rows, columns = (side // self.stride for side in pixels.shape[-2:])
        vectors = image_vectors(wanted.vector(last), len(self.layers), self.channels)
        return padded(tokens, self.channels).unflatten(2, (rows, columns)), vectors

    def compile(self, **options: Any) -> None:
        """See `TokenReader.compile`."""
        self._network.compile(**options)
