"""DINO, the first: vision transformers without registers (Caron et al., ICCV 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from zsad.lazy import transformers
from zsad.models.families.vision_transformer import VisionTransformer

if TYPE_CHECKING:
    from torch import nn
    from transformers import ViTModel


class Dino(VisionTransformer["ViTModel"]):
    """DINO v1; other plain vision transformers load as well, and are given ImageNet's normalisation.

    Positions are interpolated to the grid of the input, as ``transformers`` does it; the authors' code aims at 0.1
    patches more, which moves the positions at the far border by about a tenth of a patch.
    """

    model_type: ClassVar[str] = "vit"
    load_arguments: ClassVar[Mapping[str, Any]] = {"add_pooling_layer": False}
    forward_arguments: ClassVar[Mapping[str, Any]] = {"interpolate_pos_encoding": True}

    def model_class(self) -> type[ViTModel]:
        """``ViTModel``."""
        return transformers.ViTModel

    def blocks(self, network: ViTModel) -> nn.ModuleList:
        """See `VisionTransformer.blocks`."""
        blocks: nn.ModuleList = network.layers
        return blocks

    def final_norm(self, network: ViTModel) -> nn.Module:
        """See `VisionTransformer.final_norm`."""
        norm: nn.Module = network.layernorm
        return norm
