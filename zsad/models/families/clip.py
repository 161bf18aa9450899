"""The image tower of CLIP (Radford et al., ICML 2021)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from zsad.errors import ConfigError, ModelError
from zsad.lazy import transformers
from zsad.models.families.clip_plain import PlainReader
from zsad.models.families.clip_tower import ClipReader, ClipTower
from zsad.models.families.clip_values import ValuesReader
from zsad.models.families.clip_windows import WindowsReader
from zsad.models.families.vision_transformer import VisionTransformer
from zsad.models.image_text.options import ImageTextOptions, Positions, first_value_block
from zsad.models.image_text.positions import MODES

if TYPE_CHECKING:
    from torch import nn
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, PretrainedConfig

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class Clip(VisionTransformer["CLIPVisionModelWithProjection"]):
    """CLIP's image tower, from a checkpoint of both towers or of this one alone.

    Of a checkpoint of both, the text tower is left on the disk. The positions are interpolated to the grid of the
    input, as ``transformers`` does it. ``projected`` tokens have gone through the final LayerNorm and the projection,
    as the class token does in training; their cosines to text embeddings are meaningful, those of raw tokens are not.
    """

    model_type: ClassVar[str] = "clip"
    mean: ClassVar[tuple[float, float, float]] = CLIP_MEAN
    std: ClassVar[tuple[float, float, float]] = CLIP_STD
    shares_space_with_text: ClassVar[bool] = True
    forward_arguments: ClassVar[Mapping[str, Any]] = {"interpolate_pos_encoding": True}
    text_paths: ClassVar[tuple[str, ...]] = ("plain", "values", "windows")
    text_options: ClassVar[frozenset[str]] = frozenset({"positions", "class_norm"})

    def model_class(self) -> type[CLIPVisionModelWithProjection]:
        """``CLIPVisionModelWithProjection``."""
        return transformers.CLIPVisionModelWithProjection

    def config_for(self, config: PretrainedConfig) -> PretrainedConfig:
        """The configuration of the image tower."""
        if not hasattr(config, "vision_config"):
            return config
        vision: CLIPVisionConfig = copy.deepcopy(config.vision_config)
        vision.projection_dim = config.projection_dim  # the one that a model of both towers goes by
        return vision

    def optional_weights(self, *, projected: bool) -> tuple[str, ...]:
        """The projection, unless it is asked for: a tower that was saved alone may be without."""
        return () if projected else ("visual_projection.weight",)

    def blocks(self, network: CLIPVisionModelWithProjection) -> nn.ModuleList:
        """See `VisionTransformer.blocks`."""
        blocks: nn.ModuleList = network.vision_model.encoder.layers
        return blocks

    def final_norm(self, network: CLIPVisionModelWithProjection) -> nn.Module:
        """See `VisionTransformer.final_norm`."""
        norm: nn.Module = network.vision_model.post_layernorm
        return norm

    def finish(self, network: CLIPVisionModelWithProjection, *, normed: bool, projected: bool) -> list[nn.Module]:
        """See `VisionTransformer.finish`."""
        if projected:
            return [self.final_norm(network), network.visual_projection]
        return super().finish(network, normed=normed, projected=projected)

    def channels(self, config: PretrainedConfig, *, projected: bool) -> int:
        """See `VisionTransformer.channels`."""
        width: int = config.projection_dim if projected else config.hidden_size
        return width

    def text_layers(self, count: int, options: ImageTextOptions, name: str) -> tuple[str, ...]:
        """See `Family.text_layers`."""
        layers = super().text_layers(count, options, name)
        if options.path == "values":
            first = first_block(options.first_value_block, count, name)
            for layer in map(int, layers):
                if layer < first:
                    raise ConfigError(
                        f"layer {layer} of model '{name}' comes before the second path, which begins with block "
                        f"{first}; choose a later layer, or an earlier first_value_block"
                    )
        return layers

    def text_channels(self, config: PretrainedConfig, options: ImageTextOptions) -> int:
        """See `Family.text_channels`."""
        channels: int = self.config_for(config).projection_dim
        return channels

    def text_reader(
        self,
        network: CLIPVisionModelWithProjection,
        config: PretrainedConfig,
        options: ImageTextOptions,
        name: str,
    ) -> ClipReader:
        """See `Family.text_reader`."""
        count = self.layer_count(config)
        layers = self.text_layers(count, options, name)
        own = self.config_for(config)
        # A checkpoint that was converted from another library says how that library treats positions.
        own_way: Positions = getattr(own, "position_interpolation", "bicubic")
        if own_way not in MODES:
            raise ModelError(
                f"the config.json of model '{name}' names a way to interpolate positions that is not known here "
                f"({own_way!s:.40}); use one of {', '.join(MODES)}"
            )
        tower = ClipTower(network, self.patch(config), options.positions or own_way, options.class_norm)
        channels = options.token_channels(own.hidden_size, own.projection_dim)
        if options.path == "windows":
            return WindowsReader(tower, options.windows, channels=channels)
        chosen = [int(layer) for layer in layers]
        if options.path == "values":
            first = first_block(options.first_value_block, count, name)
            return ValuesReader(tower, chosen, channels=channels, first=first)
        return PlainReader(tower, chosen, channels=channels, normed=options.normed, projected=options.projected)


def first_block(asked: int | None, count: int, name: str) -> int:
    """The first block of the second path, counted from 0.

    Args:
        asked: see `first_value_block`.
        count: of the model's blocks.
        name: of the model, for the message.

    Raises:
        ConfigError: there is no such block.
    """
    block = first_value_block(asked, count)
    if not -count <= block < count:
        raise ConfigError(
            f"model '{name}' has no block {block} for first_value_block; its {count} blocks are 0 to {count - 1}, or "
            f"{-count} to -1"
        )
    return block % count
