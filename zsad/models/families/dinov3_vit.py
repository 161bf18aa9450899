"""The vision transformers of DINOv3 (Siméoni et al., 2025)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zsad.lazy import transformers
from zsad.models.families.vision_transformer import VisionTransformer

if TYPE_CHECKING:
    from torch import nn
    from transformers import DINOv3ViTModel, PretrainedConfig


class Dinov3Vit(VisionTransformer["DINOv3ViTModel"]):
    """DINOv3 with rotary positions, so that any grid of patches is at home."""

    model_type: ClassVar[str] = "dinov3_vit"

    def model_class(self) -> type[DINOv3ViTModel]:
        """``DINOv3ViTModel``."""
        return transformers.DINOv3ViTModel

    def optional_weights(self, *, projected: bool) -> tuple[str, ...]:
        """The mask token, which only training uses."""
        return ("embeddings.mask_token",)

    def prefix_tokens(self, config: PretrainedConfig) -> int:
        """The class token and the registers."""
        registers: int = config.num_register_tokens
        return 1 + registers

    def blocks(self, network: DINOv3ViTModel) -> nn.ModuleList:
        """See `VisionTransformer.blocks`."""
        blocks: nn.ModuleList = network.model.layer
        return blocks

    def final_norm(self, network: DINOv3ViTModel) -> nn.Module:
        """See `VisionTransformer.final_norm`."""
        norm: nn.Module = network.norm
        return norm
