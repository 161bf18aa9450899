"""The vision transformers of DINOv3 (Siméoni et al., 2025)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from zsad.errors import ConfigError
from zsad.lazy import transformers
from zsad.models.dinotxt.facts import head_needed
from zsad.models.families.vision_transformer import VisionTransformer

if TYPE_CHECKING:
    from torch import nn
    from transformers import DINOv3ViTModel, PretrainedConfig

    from zsad.models.dinotxt.reader import DinoTxtReader
    from zsad.models.image_text.options import ImageTextOptions


class Dinov3Vit(VisionTransformer["DINOv3ViTModel"]):
    """DINOv3 with rotary positions, which support any grid of patches; with dino.txt's head it has texts."""

    model_type: ClassVar[str] = "dinov3_vit"
    text_paths: ClassVar[tuple[str, ...]] = ("plain",)
    text_options: ClassVar[frozenset[str]] = frozenset({"head"})

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

    def check_texts(self, options: ImageTextOptions, name: str) -> None:
        """See `Family.check_texts`; without dino.txt's head there are no texts."""
        super().check_texts(options, name)
        if options.head is None:
            raise head_needed(name)

    def text_layers(self, count: int, options: ImageTextOptions, name: str) -> tuple[str, ...]:
        """See `Family.text_layers`; the head takes the last block's tokens."""
        layers = super().text_layers(count, options, name)
        if options.projected and layers != (str(count - 1),):
            raise ConfigError(
                f"the head of dino.txt only uses the last block of model '{name}'; remove 'layers', or set "
                "'projected' to false for the patch tokens of other blocks"
            )
        return layers

    def text_channels(self, config: PretrainedConfig, options: ImageTextOptions) -> int:
        """See `Family.text_channels`: the head's class token and mean of the patches; 0 without a head."""
        width: int = config.hidden_size
        return 0 if options.head is None else 2 * width

    def text_reader(
        self, network: DINOv3ViTModel, config: PretrainedConfig, options: ImageTextOptions, name: str
    ) -> DinoTxtReader:
        """See `Family.text_reader`."""
        # These import torch.
        from zsad.models.dinotxt.head_file import check_width, read_head_file
        from zsad.models.dinotxt.reader import DinoTxtReader

        chosen = [int(layer) for layer in self.text_layers(self.layer_count(config), options, name)]
        path = Path(str(options.head))
        file = read_head_file(path)
        check_width(file, path, config.hidden_size, name)
        head = file.vision.network(heads=config.num_attention_heads)
        network.add_module("dinotxt_head", head)  # so that it moves with the network
        return DinoTxtReader(
            network,
            self.blocks(network),
            self.final_norm(network),
            head,
            chosen,
            normed=options.normed,
            projected=options.projected,
            patch=self.patch(config),
            prefix_tokens=self.prefix_tokens(config),
            width=config.hidden_size,
        )
