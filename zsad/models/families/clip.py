"""The image tower of CLIP (Radford et al., ICML 2021)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from zsad.lazy import transformers
from zsad.models.families.vision_transformer import VisionTransformer

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
