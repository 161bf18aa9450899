"""DINOv2 with registers (Darcet et al., ICLR 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zsad.lazy import transformers
from zsad.models.families.vision_transformer import VisionTransformer

if TYPE_CHECKING:
    from torch import nn
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel, PreTrainedModel


class Dinov2WithRegisters(VisionTransformer):
    """DINOv2 with registers; the positions are interpolated with antialiasing, as by the authors."""

    model_type: ClassVar[str] = "dinov2_with_registers"

    def model_class(self) -> type[PreTrainedModel]:
        """``Dinov2WithRegistersModel``."""
        return transformers.Dinov2WithRegistersModel

    def optional_weights(self, *, projected: bool) -> tuple[str, ...]:
        """The mask token, which only training uses."""
        return ("embeddings.mask_token",)

    def prefix_tokens(self, config: Dinov2WithRegistersConfig) -> int:
        """The class token and the registers."""
        return 1 + config.num_register_tokens

    def blocks(self, network: Dinov2WithRegistersModel) -> nn.ModuleList:
        """See `VisionTransformer.blocks`."""
        return network.encoder.layer

    def final_norm(self, network: Dinov2WithRegistersModel) -> nn.Module:
        """See `VisionTransformer.final_norm`."""
        return network.layernorm
