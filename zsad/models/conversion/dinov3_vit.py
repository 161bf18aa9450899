"""Vision transformers of DINOv3 (Siméoni et al., 2025).

Source: https://github.com/facebookresearch/dinov3, ``dinov3/models/vision_transformer.py``, ``dinov3/layers`` and the
settings of the releases in ``dinov3/hub/backbones.py``. Only these transformers have the periods of rotary positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from transformers import DINOv3ViTConfig

from zsad.errors import ModelError
from zsad.models.conversion.converted import Converted, check_converted
from zsad.models.conversion.patches import PATCH_EMBEDDING, PatchEmbedding, head_count
from zsad.models.conversion.weights import OriginalWeights

PERIODS = "rope_embed.periods"
MARKS = ("cls_token", PERIODS)
DROPPED = (
    r"local_cls_norm\..*",  # for the class tokens of small crops in training (7B, and the L of satellite images)
    r"(dino|ibot)_head\..*",  # the losses of training, in addition to the backbone in a training checkpoint
)
# Facts that no shape gives, equal in all releases: `norm_layer="layernormbf16"`, and `pos_embed_rope_base=100` with
# `pos_embed_rope_normalize_coords="separate"`, which is the normalisation that transformers has built in.
NORM_EPSILON = 1e-5
ROPE_BASE = 100.0
PERIODS_TOLERANCE = 0.01  # relative; the released periods were rounded to bfloat16, by up to 0.4 %


class QkvBias(NamedTuple):
    """Biases ``[channel]`` of queries, keys and values; None where there is none."""

    query: torch.Tensor | None
    key: torch.Tensor | None
    value: torch.Tensor | None


class Names(NamedTuple):
    """The names of tensors that differ between the authors and timm.

    Attributes:
        registers: the register tokens.
        scales: the two factors of a block's branches.
        gated: gate, up and down projection of a gated MLP.
        qkv_bias: of the attention module named.
    """

    registers: str
    scales: tuple[str, str]
    gated: tuple[str, str, str]
    qkv_bias: Callable[[OriginalWeights, str], QkvBias]


def from_torch_hub(weights: OriginalWeights) -> Converted:
    """Convert a release of the authors.

    Raises:
        ModelError: a tensor is missing, unused, of another shape, or the rotary positions differ.
    """
    (count,) = weights.shape(PERIODS, 1)
    periods = weights.take(PERIODS)
    expected = ROPE_BASE ** (torch.arange(count) / count)
    if count == 0 or not torch.allclose(periods.float(), expected, rtol=PERIODS_TOLERANCE, atol=0):
        raise ModelError(
            f"the rotary positions of model '{weights.name}' ({PERIODS}) are not those of DINOv3's releases; "
            "use one of the published models"
        )
    weights.drop(DROPPED)
    names = Names("storage_tokens", ("ls1.gamma", "ls2.gamma"), ("mlp.w1", "mlp.w2", "mlp.w3"), _fused_bias)
    return convert(weights, names, head_width=4 * count)  # cosine and sine of each period, along both axes


def convert(weights: OriginalWeights, names: Names, head_width: int) -> Converted:
    """Convert weights that use ``names``.

    Args:
        head_width: channels of a head of attention.

    Raises:
        ModelError: a tensor is missing, unused, or of another shape.
    """
    patches = PatchEmbedding.of(weights)
    depth = weights.count("blocks.")
    gated = f"blocks.0.{names.gated[0]}.weight" in weights
    registers = weights.shape(names.registers, 3)[1] if names.registers in weights else 0
    biases = [names.qkv_bias(weights, f"blocks.{block}.attn") for block in range(depth)]
    key_bias = any(bias.key is not None and bool(bias.key.any()) for bias in biases)
    up = names.gated[1] if gated else "mlp.fc1"
    config = DINOv3ViTConfig(
        patch_size=patches.side,
        num_channels=patches.channels,
        hidden_size=patches.width,
        intermediate_size=weights.shape(f"blocks.0.{up}.weight", 2)[0],
        num_hidden_layers=depth,
        num_attention_heads=head_count(patches.width, head_width, weights),
        num_register_tokens=registers,
        use_gated_mlp=gated,
        hidden_act="silu" if gated else "gelu",
        query_bias=any(bias.query is not None for bias in biases),
        key_bias=key_bias,
        value_bias=any(bias.value is not None for bias in biases),
        proj_bias="blocks.0.attn.proj.bias" in weights,
        mlp_bias=f"blocks.0.{up}.bias" in weights,
        layer_norm_eps=NORM_EPSILON,
        rope_theta=ROPE_BASE,
    )
    state = {
        **_embeddings(weights, names, config),
        **weights.module("norm", "norm"),
    }
    for block, bias in enumerate(biases):
        # transformers omits a bias of keys that is zero everywhere.
        bias = bias if key_bias else bias._replace(key=None)
        state |= _block(weights, names, f"blocks.{block}", f"model.layer.{block}", config, bias)
    return check_converted(config, state, weights)


def _embeddings(weights: OriginalWeights, names: Names, config: DINOv3ViTConfig) -> dict[str, torch.Tensor]:
    width = config.hidden_size
    class_token = weights.take("cls_token", 1, 1, width)
    return {
        "embeddings.cls_token": class_token,
        "embeddings.register_tokens": (
            weights.take(names.registers) if names.registers in weights else class_token.new_empty(1, 0, width)
        ),
        # Only training uses it, and timm leaves it out.
        "embeddings.mask_token": (
            weights.take("mask_token", 1, width)[None] if "mask_token" in weights else torch.zeros_like(class_token)
        ),
        **weights.module(PATCH_EMBEDDING, "embeddings.patch_embeddings"),
    }


def _block(
    weights: OriginalWeights, names: Names, source: str, target: str, config: DINOv3ViTConfig, bias: QkvBias
) -> dict[str, torch.Tensor]:
    queries, keys, values = weights.parts(f"{source}.attn.qkv.weight", 3)
    state = {
        f"{target}.attention.q_proj.weight": queries,
        f"{target}.attention.k_proj.weight": keys,
        f"{target}.attention.v_proj.weight": values,
        f"{target}.layer_scale1.lambda1": weights.take(f"{source}.{names.scales[0]}"),
        f"{target}.layer_scale2.lambda1": weights.take(f"{source}.{names.scales[1]}"),
        **weights.module(f"{source}.norm1", f"{target}.norm1"),
        **weights.module(f"{source}.norm2", f"{target}.norm2"),
        **weights.linear(f"{source}.attn.proj", f"{target}.attention.o_proj"),
    }
    for projection, tensor in zip(("q_proj", "k_proj", "v_proj"), bias, strict=True):
        if tensor is not None:
            state[f"{target}.attention.{projection}.bias"] = tensor
    projections = {"up_proj": "mlp.fc1", "down_proj": "mlp.fc2"}
    if config.use_gated_mlp:
        projections = dict(zip(("gate_proj", "up_proj", "down_proj"), names.gated, strict=True))
    for projection, name in projections.items():
        state |= weights.linear(f"{source}.{name}", f"{target}.mlp.{projection}")
    return state


def _fused_bias(weights: OriginalWeights, attention: str) -> QkvBias:
    """The authors' single bias, times the mask that removes the keys' part (``LinearKMaskedBias``)."""
    key = f"{attention}.qkv.bias"
    if key not in weights:
        return QkvBias(None, None, None)
    parts = weights.parts(key, 3)
    if f"{key}_mask" in weights:
        masks = weights.take(f"{key}_mask", *weights.shape(key, 1)).chunk(3)
        # Not only a product: masked values were never trained, and need not be finite.
        parts = tuple(torch.where(mask == 0, 0.0, part * mask) for part, mask in zip(parts, masks, strict=True))
    return QkvBias(*parts)
