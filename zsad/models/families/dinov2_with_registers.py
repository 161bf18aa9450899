"""DINOv2 with registers (Darcet et al., ICLR 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zsad.lazy import transformers
from zsad.models.families.vision_transformer import VisionTransformer

if TYPE_CHECKING:
    from torch import nn
    from transformers import Dinov2WithRegistersModel, PretrainedConfig


class Dinov2WithRegisters(VisionTransformer["Dinov2WithRegistersModel"]):
    """DINOv2 with registers.

    The positions are interpolated with antialiasing and without the offset of `Dinov2`, by the authors as by
    ``transformers``.
    """

    model_type: ClassVar[str] = "dinov2_with_registers"

    def model_class(self) -> type[Dinov2WithRegistersModel]:
        """``Dinov2WithRegistersModel``."""
        return transformers.Dinov2WithRegistersModel

    def optional_weights(self, *, projected: bool) -> tuple[str, ...]:
        """The mask token, which only training uses."""
        return ("embeddings.mask_token",)

    def prefix_tokens(self, config: PretrainedConfig) -> int:
        """The class token and the registers."""
        registers: int = config.num_register_tokens
        return 1 + registers

    def blocks(self, network: Dinov2WithRegistersModel) -> nn.ModuleList:
        """See `VisionTransformer.blocks`."""
        blocks: nn.ModuleList = network.encoder.layer
        return blocks

    def final_norm(self, network: Dinov2WithRegistersModel) -> nn.Module:
        """See `VisionTransformer.final_norm`."""
        norm: nn.Module = network.layernorm
        return norm
