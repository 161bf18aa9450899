"""The image tower of TIPSv2 (Cao et al., CVPR 2026)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from zsad.errors import ConfigError
from zsad.lazy import torch, transformers
from zsad.models.families.tipsv2_config import tipsv2_config
from zsad.models.families.vision_transformer import VisionTransformer
from zsad.models.image_text.options import ImageTextOptions
from zsad.models.image_text.own_blocks import OwnBlocksReader, OwnTokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn
    from transformers import PretrainedConfig, Tipsv2VisionModel


class Tipsv2(VisionTransformer["Tipsv2VisionModel"]):
    """TIPSv2's image tower, from a checkpoint of both towers or of this one alone.

    It is a DINOv2 with one register, which here is a second class token: the first learned from web captions, the
    second from synthetic ones. Pixels in [0, 1] are not normalised. The positions are interpolated with antialiasing
    (bilinear), as by the authors. Tokens after the final LayerNorm are in the space of texts; there is no projection.

    For texts it is read by its own tokens (``plain``), or by ``values`` of its last block: for patches, the attention
    of that block is omitted and its values replace the attended ones, with the rest of the block unchanged. The authors
    segment images by words in this way (their notebook ``TIPS_zeroshot_segmentation``, after MaskCLIP, Zhou et al.,
    ECCV 2022); it is not the second path of CLIP.
    """

    model_type: ClassVar[str] = "tipsv2"
    mean: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 0.0)
    std: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)
    shares_space_with_text: ClassVar[bool] = True
    text_paths: ClassVar[tuple[str, ...]] = ("plain", "values")

    def model_class(self) -> type[Tipsv2VisionModel]:
        """``Tipsv2VisionModel``."""
        return transformers.Tipsv2VisionModel

    def config_for(self, config: PretrainedConfig) -> PretrainedConfig:
        """The configuration of the image tower.

        Raises:
            ModelError: see `tipsv2_config`.
        """
        config = tipsv2_config(config)
        vision: PretrainedConfig = getattr(config, "vision_config", config)
        return vision

    def optional_weights(self, *, projected: bool) -> tuple[str, ...]:
        """The mask token, which only training uses."""
        return ("embeddings.mask_token",)

    def prefix_tokens(self, config: PretrainedConfig) -> int:
        """Both class tokens."""
        registers: int = config.num_register_tokens
        return 1 + registers

    def blocks(self, network: Tipsv2VisionModel) -> nn.ModuleList:
        """See `VisionTransformer.blocks`."""
        blocks: nn.ModuleList = network.encoder.layer
        return blocks

    def final_norm(self, network: Tipsv2VisionModel) -> nn.Module:
        """See `VisionTransformer.final_norm`."""
        norm: nn.Module = network.layernorm
        return norm

    def finish(self, network: Tipsv2VisionModel, *, normed: bool, projected: bool) -> list[nn.Module]:
        """See `VisionTransformer.finish`."""
        return super().finish(network, normed=normed or projected, projected=projected)

    def text_layers(self, count: int, options: ImageTextOptions, name: str) -> tuple[str, ...]:
        """See `Family.text_layers`.

        Raises:
            ConfigError: values of another block than the last are requested.
        """
        layers = super().text_layers(count, options, name)
        if options.path == "values" and options.first_value_block is not None:
            raise ConfigError(f"first_value_block is not supported by model '{name}', a TIPSv2 model; remove it")
        if options.path == "values" and layers != (str(count - 1),):
            raise ConfigError(
                f"path values of model '{name}', a TIPSv2 model, only supports its last block; set layers to [-1], or "
                "choose path plain"
            )
        return layers

    def text_channels(self, config: PretrainedConfig, options: ImageTextOptions) -> int:
        """Width of a token."""
        width: int = self.config_for(config).hidden_size
        return width

    def text_reader(
        self, network: Tipsv2VisionModel, config: PretrainedConfig, options: ImageTextOptions, name: str
    ) -> OwnBlocksReader:
        """See `Family.text_reader`; the vector of an image is its first class token after the final LayerNorm."""
        own = self.config_for(config)
        layers = self.text_layers(self.layer_count(own), options, name)
        norm = self.final_norm(network)
        blocks = self.blocks(network)
        finish: Callable[[Tensor], Tensor]
        if options.path == "values":
            modules: list[nn.Module] = [blocks[-2] if len(blocks) > 1 else _embeddings(network)]
            finish = _finish_by_values(blocks[-1], norm)
        else:
            modules = [blocks[int(layer)] for layer in layers]
            finish = torch.nn.Sequential(*self.finish(network, normed=options.normed, projected=options.projected))
        wanted = OwnTokens(
            layers,
            modules,
            finish=finish,
            last=blocks[-1],
            vector=lambda tokens: norm(tokens[:, 0]),
            prefix_tokens=self.prefix_tokens(own),
            patch=self.patch(own),
            channels=self.text_channels(own, options),
            forward_arguments=self.forward_arguments,
        )
        return OwnBlocksReader(network, wanted)


def _embeddings(network: Tipsv2VisionModel) -> nn.Module:
    embeddings: Any = network.embeddings
    module: nn.Module = embeddings
    return module


def _finish_by_values(block: Any, norm: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function from the input of a block to its output without attention, after the final LayerNorm."""

    def finish(tokens: Tensor) -> Tensor:
        attended = block.attention.o_proj(block.attention.v_proj(block.norm1(tokens)))
        tokens = tokens + block.layer_scale1(attended)
        finished: Tensor = norm(tokens + block.layer_scale2(block.mlp(block.norm2(tokens))))
        return finished

    return finish
