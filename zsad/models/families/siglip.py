"""The image tower of SigLIP (Zhai et al., ICCV 2023), and of SigLIP 2 (Tschannen et al., 2025) at fixed resolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from zsad.lazy import torch, transformers
from zsad.models.families.pooling_head import HEAD_WEIGHTS, head_of, patch_head
from zsad.models.families.vision_transformer import VisionTransformer
from zsad.models.image_text.own_blocks import OwnBlocksReader, OwnTokens

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, SiglipVisionModel

    from zsad.models.image_text.options import ImageTextOptions

HALF = (0.5, 0.5, 0.5)

Tower = TypeVar("Tower", bound="PreTrainedModel")


class SiglipTower(VisionTransformer[Tower]):
    """Base class of SigLIP and of SigLIP 2 with variable sizes.

    Of a checkpoint of both towers, the text tower is not loaded. There is no class token: the vector of an image comes
    from a head of attention pooling, whose only query is learned. Patch tokens are not in the space of texts;
    ``projected`` ones are the head's output for an image with only that patch, which is this project's own choice (see
    `patch_head`).
    """

    mean: ClassVar[tuple[float, float, float]] = HALF
    std: ClassVar[tuple[float, float, float]] = HALF
    shares_space_with_text: ClassVar[bool] = True
    text_paths: ClassVar[tuple[str, ...]] = ("plain",)

    def config_for(self, config: PretrainedConfig) -> PretrainedConfig:
        """The configuration of the image tower."""
        vision: PretrainedConfig = getattr(config, "vision_config", config)
        return vision

    def optional_weights(self, *, projected: bool) -> tuple[str, ...]:
        """The head, unless vectors in the space of texts are requested."""
        return () if projected else HEAD_WEIGHTS

    def prefix_tokens(self, config: PretrainedConfig) -> int:
        """None."""
        return 0

    def blocks(self, network: Tower) -> nn.ModuleList:
        """See `VisionTransformer.blocks`."""
        encoder: Any = network.encoder
        blocks: nn.ModuleList = encoder.layers
        return blocks

    def final_norm(self, network: Tower) -> nn.Module:
        """See `VisionTransformer.final_norm`."""
        norm: Any = network.post_layernorm
        own: nn.Module = norm
        return own

    def finish(self, network: Tower, *, normed: bool, projected: bool) -> list[nn.Module]:
        """See `VisionTransformer.finish`.

        Raises:
            ModelError: tokens in the space of texts are requested, but the tower has no head.
        """
        if projected:
            return [self.final_norm(network), patch_head(network)]
        return super().finish(network, normed=normed, projected=projected)

    def text_channels(self, config: PretrainedConfig, options: ImageTextOptions) -> int:
        """Width of the head's output, which is that of a token."""
        width: int = self.config_for(config).hidden_size
        return width

    def text_reader(
        self, network: Tower, config: PretrainedConfig, options: ImageTextOptions, name: str
    ) -> OwnBlocksReader:
        """See `Family.text_reader`; the vector of an image is the head's output.

        Raises:
            ModelError: the tower was saved without a head.
        """
        own = self.config_for(config)
        layers = self.text_layers(self.layer_count(own), options, name)
        blocks = self.blocks(network)
        wanted = OwnTokens(
            layers,
            [blocks[int(layer)] for layer in layers],
            finish=torch.nn.Sequential(*self.finish(network, normed=options.normed, projected=options.projected)),
            last=head_of(network),
            vector=lambda pooled: pooled,
            prefix_tokens=0,
            patch=self.patch(own),
            channels=self.text_channels(own, options),
            forward_arguments=self.forward_arguments,
        )
        return OwnBlocksReader(network, wanted)


class Siglip(SiglipTower["SiglipVisionModel"]):
    """SigLIP's image tower.

    **Departures.** Positions are interpolated to the grid of the input as by ``transformers``, bicubically. The authors
    have a checkpoint for each resolution, and interpolate only for training: linearly, with aligned outer patches
    (``resample_posemb`` in big_vision's ``models/vit.py``). From 16 x 16 to 28 x 28 patches that moves the outermost by
    0.21 of a learned patch. At a checkpoint's own resolution, positions are the learned ones either way.
    """

    model_type: ClassVar[str] = "siglip"
    forward_arguments: ClassVar[Mapping[str, Any]] = {"interpolate_pos_encoding": True}

    def model_class(self) -> type[SiglipVisionModel]:
        """``SiglipVisionModel``."""
        return transformers.SiglipVisionModel
