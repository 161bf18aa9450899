"""The image tower of TIPSv2 (Cao et al., CVPR 2026)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zsad.lazy import transformers
from zsad.models.families.tipsv2_config import tipsv2_config
from zsad.models.families.vision_transformer import VisionTransformer

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, Tipsv2VisionModel


class Tipsv2(VisionTransformer["Tipsv2VisionModel"]):
    """TIPSv2's image tower, from a checkpoint of both towers or of this one alone.

    It is a DINOv2 with one register, which here is a second class token: the first learned from captions of the web,
    the second from synthetic ones. Pixels are taken in [0, 1] as they are. The positions are interpolated with
    antialiasing (bilinear), as by the authors. Tokens after the final LayerNorm lie in the space of texts; there is no
    projection.
    """

    model_type: ClassVar[str] = "tipsv2"
    mean: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 0.0)
    std: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)
    shares_space_with_text: ClassVar[bool] = True

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
