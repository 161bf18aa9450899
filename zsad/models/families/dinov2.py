"""DINOv2 without registers (Oquab et al., TMLR 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zsad.lazy import transformers
from zsad.models.families.vision_transformer import VisionTransformer

if TYPE_CHECKING:
    from torch import nn
    from transformers import Dinov2Model


class Dinov2(VisionTransformer["Dinov2Model"]):
    """DINOv2 without registers.

    Positions are interpolated to the grid of the input, as ``transformers`` does it; the authors' code aims at 0.1
    patches more, which moves the positions at the far border by about a tenth of a patch.
    """

    model_type: ClassVar[str] = "dinov2"

    def model_class(self) -> type[Dinov2Model]:
        """``Dinov2Model``."""
        return transformers.Dinov2Model

    def optional_weights(self, *, projected: bool) -> tuple[str, ...]:
        """The mask token, which only training uses."""
        return ("embeddings.mask_token",)

    def blocks(self, network: Dinov2Model) -> nn.ModuleList:
        """See `VisionTransformer.blocks`."""
        blocks: nn.ModuleList = network.encoder.layer
        return blocks

    def final_norm(self, network: Dinov2Model) -> nn.Module:
        """See `VisionTransformer.final_norm`."""
        norm: nn.Module = network.layernorm
        return norm
