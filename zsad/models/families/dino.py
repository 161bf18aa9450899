"""DINO, the first: vision transformers without registers (Caron et al., ICCV 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from zsad.lazy import transformers
from zsad.models.colours import Normalisation
from zsad.models.families.vision_transformer import VisionTransformer
from zsad.models.positions import Positions

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, ViTModel


class Dino(VisionTransformer["ViTModel"]):
    """DINO v1; other plain vision transformers with the type ``vit`` load, too.

    **Departures.** Positions are interpolated to the grid of the input as by the authors, with 0.1 more patches
    (``offset``), which ``transformers`` omits. Between the two, tokens differ by 1 to 3 % of their spread over the
    image if positions are smooth over one to four patches, and by 5 % if neighbours have nothing in common (ViT-S/16 of
    random weights, 28 x 28 patches; on the 14 x 14 of training, positions are the learned ones either way).

    By default a model uses DINO's interpolation if its pixels are normalised like DINO's, by ImageNet's mean and
    standard deviation. Other plain transformers differ: Google's ``preprocessor_config.json`` has 0.5 for both, and
    such a model uses the interpolation of ``transformers``.
    """

    model_type: ClassVar[str] = "vit"
    load_arguments: ClassVar[Mapping[str, Any]] = {"add_pooling_layer": False}
    forward_arguments: ClassVar[Mapping[str, Any]] = {"interpolate_pos_encoding": True}
    position_ways: ClassVar[frozenset[Positions]] = frozenset({"authors", "transformers", "offset"})

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

    def authors_positions(self, config: PretrainedConfig, normalisation: Normalisation) -> Positions:
        """With their offset for DINO; a model with another normalisation of pixels is not DINO."""
        return "offset" if normalisation == Normalisation(self.mean, self.std) else "transformers"

    def place_positions(self, network: ViTModel, config: PretrainedConfig, how: Positions) -> None:
        """See `Family.place_positions`."""
        if how == "offset":
            from zsad.models.interpolation import interpolate_by  # imports torch

            embeddings: Any = network.embeddings
            interpolate_by(embeddings, lambda: embeddings.position_embeddings[0], self.patch(config), how)
