"""DINOv2 without registers (Oquab et al., TMLR 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from zsad.lazy import transformers
from zsad.models.families.vision_transformer import VisionTransformer
from zsad.models.positions import Positions

if TYPE_CHECKING:
    from torch import nn
    from transformers import Dinov2Model, PretrainedConfig

    from zsad.models.colours import Normalisation


class Dinov2(VisionTransformer["Dinov2Model"]):
    """DINOv2 without registers.

    **Departures.** Positions are interpolated to the grid of the input as by the authors, with 0.1 more patches
    (``offset``), which ``transformers`` omits. Between the two, tokens differ by 1 to 6 % of their spread over the
    image if positions are smooth over one to four patches, and by 9 to 14 % if neighbours have nothing in common
    (ViT-S/14 of random weights, 32 x 32 and 48 x 48 patches; on the 37 x 37 of training, positions are the learned ones
    either way).
    """

    model_type: ClassVar[str] = "dinov2"
    position_ways: ClassVar[frozenset[Positions]] = frozenset({"authors", "transformers", "offset"})

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

    def authors_positions(self, config: PretrainedConfig, normalisation: Normalisation) -> Positions:
        """With their offset."""
        return "offset"

    def place_positions(self, network: Dinov2Model, config: PretrainedConfig, how: Positions) -> None:
        """See `Family.place_positions`."""
        if how == "offset":
            from zsad.models.interpolation import interpolate_by  # imports torch

            embeddings: Any = network.embeddings
            interpolate_by(embeddings, lambda: embeddings.position_embeddings[0], self.patch(config), how)
