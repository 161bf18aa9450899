"""Base class of the families of vision transformers: tokens are the outputs of blocks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from zsad.lazy import torch
from zsad.models.families.base import Family, KeptOutputs, Network, TokenReader, square_patch

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PretrainedConfig


class VisionTransformer(Family[Network]):
    """A family whose layers are the blocks of a transformer, with or without a class token.

    Class attributes:
        forward_arguments: keyword arguments of the network's forward pass besides the pixels.
    """

    forward_arguments: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def blocks(self, network: Network) -> nn.ModuleList:
        """The blocks, in order; blocks deleted from the list do not run."""

    @abstractmethod
    def final_norm(self, network: Network) -> nn.Module:
        """The LayerNorm after the last block."""

    def finish(self, network: Network, *, normed: bool, projected: bool) -> list[nn.Module]:
        """The modules applied to the outputs of the chosen blocks, in order."""
        return [self.final_norm(network)] if normed else []

    def channels(self, config: PretrainedConfig, *, projected: bool) -> int:
        """Width of a token after `finish`."""
        width: int = config.hidden_size
        return width

    def prefix_tokens(self, config: PretrainedConfig) -> int:
        """Number of class and register tokens before the patch tokens."""
        return 1

    def patch(self, config: PretrainedConfig) -> int:
        """Side of a patch, pixels.

        Raises:
            ModelError: the patches are not square.
        """
        return square_patch(self.config_for(config))

    def layer_count(self, config: PretrainedConfig) -> int:
        """Number of blocks."""
        count: int = self.config_for(config).num_hidden_layers
        return count

    def reader(
        self,
        network: Network,
        config: PretrainedConfig,
        *,
        layers: Sequence[int],
        normed: bool,
        projected: bool,
        name: str,
    ) -> BlockReader:
        """See `Family.reader`."""
        chosen = self.chosen_layers(config, layers, projected=projected, name=name)
        own = self.config_for(config)
        return BlockReader(
            network,
            self.blocks(network),
            chosen,
            finish=torch.nn.Sequential(*self.finish(network, normed=normed, projected=projected)),
            patch=self.patch(config),
            prefix_tokens=self.prefix_tokens(own),
            channels=self.channels(own, projected=projected),
            forward_arguments=self.forward_arguments,
        )


class BlockReader(TokenReader):
    """Reads the outputs of chosen blocks of a vision transformer.

    Args:
        network: takes pixels ``[image, 3, height, width]``.
        blocks: of that network; those after the last chosen one are removed.
        chosen: indices of the chosen blocks.
        finish: applied to the outputs ``[image, layer, token, channel]`` of all chosen blocks.
        channels: width of a token after ``finish``.
        forward_arguments: the network's arguments besides the pixels.
    """

    def __init__(
        self,
        network: nn.Module,
        blocks: nn.ModuleList,
        chosen: Sequence[int],
        *,
        finish: Callable[[Tensor], Tensor],
        patch: int,
        prefix_tokens: int,
        channels: int,
        forward_arguments: Mapping[str, Any],
    ) -> None:
        self.patch = self.stride = patch
        self.prefix_tokens = prefix_tokens
        self.cls_source = "class token" if prefix_tokens else "mean of patch tokens"
        self.layers = [str(block) for block in chosen]
        self.channels = channels
        self._network = network
        self._finish = finish
        self._forward_arguments = forward_arguments
        self._kept = KeptOutputs([blocks[block] for block in chosen])
        del blocks[max(chosen) + 1 :]

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """See `TokenReader.__call__`."""
        states = self._kept.of(lambda: self._network(pixels, **self._forward_arguments))
        tokens = self._finish(torch.stack(states, dim=1))
        rows, columns = (side // self.stride for side in pixels.shape[-2:])
        patches = tokens[:, :, self.prefix_tokens :]
        classes = tokens[:, :, 0] if self.prefix_tokens else patches.mean(dim=2)
        return patches.unflatten(2, (rows, columns)), classes

    def compile(self, **options: Any) -> None:
        """See `TokenReader.compile`."""
        self._network.compile(**options)
