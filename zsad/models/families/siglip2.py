"""The image tower of SigLIP 2 for images of any size, NaFlex (Tschannen et al., 2025, section 2.4.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from zsad.errors import ModelError
from zsad.lazy import torch, transformers
from zsad.models.families.siglip import SiglipTower

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PretrainedConfig, Siglip2VisionModel

    from zsad.models.families.vision_transformer import BlockReader
    from zsad.models.image_text.options import ImageTextOptions
    from zsad.models.image_text.own_blocks import OwnBlocksReader


class Siglip2(SiglipTower["Siglip2VisionModel"]):
    """SigLIP 2 with variable sizes; its checkpoints at fixed resolutions belong to `Siglip`.

    The network's input is packed patches and their grid, here those of the resized image, never padded. The positions
    are interpolated to that grid with antialiasing (bilinear), as by the authors.
    """

    model_type: ClassVar[str] = "siglip2"

    def model_class(self) -> type[Siglip2VisionModel]:
        """``Siglip2VisionModel``."""
        return transformers.Siglip2VisionModel

    def config_for(self, config: PretrainedConfig) -> PretrainedConfig:
        """The configuration of the image tower.

        Raises:
            ModelError: its positions are not a square grid.
        """
        own = super().config_for(config)
        count = own.num_patches
        if not isinstance(count, int) or count < 1 or math.isqrt(count) ** 2 != count:
            raise ModelError(
                f"a model of type '{own.model_type}' has {count} positions (num_patches), which is not a square grid; "
                "correct its config.json"
            )
        return own

    def reader(
        self,
        network: Siglip2VisionModel,
        config: PretrainedConfig,
        *,
        layers: Sequence[int],
        normed: bool,
        projected: bool,
        name: str,
    ) -> BlockReader:
        """See `Family.reader`."""
        return super().reader(
            taking_pixels(network, self.patch(config)),
            config,
            layers=layers,
            normed=normed,
            projected=projected,
            name=name,
        )

    def text_reader(
        self, network: Siglip2VisionModel, config: PretrainedConfig, options: ImageTextOptions, name: str
    ) -> OwnBlocksReader:
        """See `SiglipTower.text_reader`."""
        return super().text_reader(taking_pixels(network, self.patch(config)), config, options, name)


def taking_pixels(network: Siglip2VisionModel, patch: int) -> Siglip2VisionModel:
    """Let the network accept pixels ``[image, 3, height, width]``, which it packs; return the network."""

    def pack(module: nn.Module, inputs: tuple[Tensor], keywords: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
        (pixels,) = inputs
        rows, columns = (side // patch for side in pixels.shape[-2:])
        grids = torch.tensor([[rows, columns]] * len(pixels))
        return (), {
            "pixel_values": packed_patches(pixels, patch),
            "pixel_attention_mask": None,  # no patch is padding
            "spatial_shapes": grids,
            **keywords,
        }

    network.register_forward_pre_hook(pack, with_kwargs=True)
    return network


def packed_patches(pixels: Tensor, patch: int) -> Tensor:
    """Pixels ``[image, 3, height, width]`` as ``[image, patch, value]``: row by row, and colours fastest."""
    parts = pixels.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))  # [image, colour, row, y, column, x]
    packed: Tensor = parts.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
    return packed
