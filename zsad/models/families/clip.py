"""The image tower of CLIP (Radford et al., ICML 2021)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from zsad.errors import ConfigError
from zsad.lazy import transformers
from zsad.models.families.clip_plain import PlainReader
from zsad.models.families.clip_tower import ClipReader, ClipTower
from zsad.models.families.clip_values import ValuesReader
from zsad.models.families.clip_windows import WindowsReader
from zsad.models.families.vision_transformer import VisionTransformer
from zsad.models.image_text.options import ImageTextOptions, first_value_block
from zsad.models.positions import MODES, Positions

if TYPE_CHECKING:
    from torch import nn
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, PretrainedConfig

    from zsad.models.colours import Normalisation

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class Clip(VisionTransformer["CLIPVisionModelWithProjection"]):
    """CLIP's image tower, from a checkpoint of both towers or of this one alone.

    Of a checkpoint of both, the text tower is not loaded. ``projected`` tokens pass the final LayerNorm and the
    projection, like the class token in training; their cosines to text embeddings are meaningful, those of raw tokens
    are not.

    OpenAI's code only supports the grid of positions of training. Positions are interpolated to another grid like in
    ``transformers`` and MuSc's code (``bicubic``), and those of open_clip's files like in open_clip (``antialiased``).
    """

    model_type: ClassVar[str] = "clip"
    mean: ClassVar[tuple[float, float, float]] = CLIP_MEAN
    std: ClassVar[tuple[float, float, float]] = CLIP_STD
    shares_space_with_text: ClassVar[bool] = True
    forward_arguments: ClassVar[Mapping[str, Any]] = {"interpolate_pos_encoding": True}
    text_paths: ClassVar[tuple[str, ...]] = ("plain", "values", "windows")
    text_options: ClassVar[frozenset[str]] = frozenset({"class_norm"})
    position_ways: ClassVar[frozenset[Positions]] = frozenset(
        {"authors", "transformers", "bicubic", "bilinear", "antialiased"}
    )

    def model_class(self) -> type[CLIPVisionModelWithProjection]:
        """``CLIPVisionModelWithProjection``."""
        return transformers.CLIPVisionModelWithProjection

    def config_for(self, config: PretrainedConfig) -> PretrainedConfig:
        """The configuration of the image tower."""
        if not hasattr(config, "vision_config"):
            return config
        vision: CLIPVisionConfig = copy.deepcopy(config.vision_config)
        vision.projection_dim = config.projection_dim  # the one that a model of both towers uses
        return vision

    def optional_weights(self, *, projected: bool) -> tuple[str, ...]:
        """The projection, unless it is requested: a separately saved tower may lack it."""
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

    def authors_positions(self, config: PretrainedConfig, normalisation: Normalisation) -> Positions:
        """See `Family.authors_positions`."""
        return own_positions(self.config_for(config))

    def place_positions(self, network: CLIPVisionModelWithProjection, config: PretrainedConfig, how: Positions) -> None:
        """See `Family.place_positions`."""
        if MODES[how] != MODES["transformers"]:
            from zsad.models.interpolation import interpolate_by  # imports torch

            embeddings: Any = network.vision_model.embeddings
            interpolate_by(embeddings, lambda: embeddings.position_embedding.weight, self.patch(config), how)

    def text_layers(self, count: int, options: ImageTextOptions, name: str) -> tuple[str, ...]:
        """See `Family.text_layers`."""
        layers = super().text_layers(count, options, name)
        if options.path == "values":
            first = first_block(options.first_value_block, count, name)
            for layer in map(int, layers):
                if layer < first:
                    raise ConfigError(
                        f"layer {layer} of model '{name}' is before the second path, which begins with block "
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
        way = own_positions(own) if options.positions == "authors" else options.positions
        tower = ClipTower(network, self.patch(config), way, options.class_norm)
        channels = options.token_channels(own.hidden_size, own.projection_dim)
        if options.path == "windows":
            return WindowsReader(tower, options.windows, channels=channels)
        chosen = [int(layer) for layer in layers]
        if options.path == "values":
            first = first_block(options.first_value_block, count, name)
            return ValuesReader(tower, chosen, channels=channels, first=first)
        return PlainReader(tower, chosen, channels=channels, normed=options.normed, projected=options.projected)


def own_positions(config: PretrainedConfig) -> Positions:
    """The interpolation of positions in the library that a checkpoint is from.

    Args:
        config: of the image tower; one converted from another library than ``transformers`` names it.

    Raises:
        ValueError: the named interpolation is unknown.
    """
    way: Positions = getattr(config, "position_interpolation", "bicubic")
    if way not in Clip.position_ways - {"authors"}:
        raise ValueError(
            f"it names an unknown interpolation of positions ({way!s:.40}); use one of bicubic, bilinear, antialiased"
        )
    return way


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
