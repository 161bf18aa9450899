"""The configuration of TIPSv2, in the form of ``transformers`` and in that of its authors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from zsad.errors import ModelError
from zsad.lazy import transformers

if TYPE_CHECKING:
    from transformers import PretrainedConfig


class Tower(NamedTuple):
    """An image tower by the authors' name: blocks, heads, and the perceptron's width relative to a token."""

    blocks: int
    heads: int
    ratio: float = 4


TOWERS: Mapping[str, Tower] = MappingProxyType(
    {
        "vit_small": Tower(12, 6),
        "vit_base": Tower(12, 12),
        "vit_large": Tower(24, 16),
        "vit_so400m": Tower(27, 16, 4304 / 1152),
        "vit_giant2": Tower(40, 24),
    }
)


def tipsv2_config(config: PretrainedConfig) -> PretrainedConfig:
    """A configuration of both towers, or of one, in the form of ``transformers``.

    The authors' ``config.json`` is flat: ``vision_fn`` names the image tower, and the other keys are beside it.
    ``transformers`` ignores these keys, and would always build the base size.

    Args:
        config: as read by ``transformers``.

    Raises:
        ModelError: it has the authors' form with an unknown tower.
    """
    if not hasattr(config, "vision_fn"):
        return config
    if config.vision_fn not in TOWERS:
        raise ModelError(
            f"the config.json of a TIPSv2 model names the image tower '{config.vision_fn!s:.40}' (vision_fn), which is "
            f"not one of {', '.join(TOWERS)}; correct it"
        )
    tower = TOWERS[config.vision_fn]
    vision = {
        "hidden_size": config.embed_dim,
        "num_hidden_layers": tower.blocks,
        "num_attention_heads": tower.heads,
        "mlp_ratio": tower.ratio,
        "image_size": config.img_size,
        "patch_size": config.patch_size,
        "layerscale_value": config.init_values,
        "num_register_tokens": config.num_register_tokens,
        "use_swiglu_ffn": config.ffn_layer == "swiglu",
    }
    text = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.text_hidden_size,
        "intermediate_size": config.text_mlp_dim,
        "num_hidden_layers": config.text_num_layers,
        "num_attention_heads": config.text_num_heads,
        "max_position_embeddings": config.max_len,
    }
    own: PretrainedConfig = transformers.Tipsv2Config(vision_config=vision, text_config=text)
    return own
