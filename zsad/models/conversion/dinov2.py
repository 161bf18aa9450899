"""Vision transformers of DINOv2 (Oquab et al., 2024), with registers (Darcet et al., 2024) and without.

Source: https://github.com/facebookresearch/dinov2, ``dinov2/models/vision_transformer.py``, ``dinov2/layers`` and the
settings of the releases in ``dinov2/hub/backbones.py``. Unlike DINO's, these transformers have a mask token.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from transformers import Dinov2Config, Dinov2WithRegistersConfig

from zsad.errors import ModelError
from zsad.models.conversion.converted import Converted, check_converted
from zsad.models.conversion.patches import PATCH_EMBEDDING, PatchEmbedding, head_count
from zsad.models.conversion.weights import OriginalWeights

MARKS = ("cls_token", "pos_embed", "mask_token")
DROPPED = (r"(dino|ibot)_head\..*",)  # the losses of training, in addition to the backbone in a training checkpoint
REGISTERS = "register_tokens"
GATED = "mlp.w12"  # gate and up projection in one, of the giant (``SwiGLUFFNFused``)
# Facts that no shape gives, equal in all releases.
NORM_EPSILON = 1e-6
HEAD_WIDTH = 64
LARGEST_MLP_RATIO = 16


def from_torch_hub(weights: OriginalWeights) -> Converted:
    """Convert a release of the authors.

    The table of positions (37 x 37 in the releases, 518 pixels) is kept unchanged, after the position of the class
    token.

    Raises:
        ModelError: a tensor is missing, unused, or of another shape.
    """
    weights.drop(DROPPED)
    patches = PatchEmbedding.of(weights)
    depth = weights.count("blocks.")
    gated = f"blocks.0.{GATED}.weight" in weights
    settings: dict[str, Any] = {
        "patch_size": patches.side,
        "num_channels": patches.channels,
        "image_size": weights.grid_side("pos_embed", 1) * patches.side,
        "hidden_size": patches.width,
        "num_hidden_layers": depth,
        "num_attention_heads": head_count(patches.width, HEAD_WIDTH, weights),
        "mlp_ratio": _gated_mlp_ratio(weights, patches.width) if gated else _mlp_ratio(weights, patches.width),
        "use_swiglu_ffn": gated,
        "qkv_bias": "blocks.0.attn.qkv.bias" in weights,
        "layer_norm_eps": NORM_EPSILON,
    }
    state = {
        "embeddings.cls_token": weights.take("cls_token"),
        "embeddings.mask_token": weights.take("mask_token"),
        "embeddings.position_embeddings": weights.take("pos_embed"),
        **weights.module(PATCH_EMBEDDING, "embeddings.patch_embeddings.projection"),
        **weights.module("norm", "layernorm"),
    }
    for block in range(depth):
        state |= _block(weights, f"blocks.{block}", f"encoder.layer.{block}", gated=gated)
    if REGISTERS not in weights:
        return check_converted(Dinov2Config(**settings), state, weights)
    registers = weights.shape(REGISTERS, 3)[1]
    state["embeddings.register_tokens"] = weights.take(REGISTERS)
    return check_converted(Dinov2WithRegistersConfig(**settings, num_register_tokens=registers), state, weights)


def without_chunks(key: str) -> str:
    """The name of a tensor in a release; training saves blocks in chunks, ``blocks.<chunk>.<block>.``."""
    return re.sub(r"^blocks\.\d+\.(\d+)\.", r"blocks.\1.", key)


def _mlp_ratio(weights: OriginalWeights, width: int) -> int:
    hidden = weights.shape("blocks.0.mlp.fc1.weight", 2)[0]
    if hidden % width:
        raise _unknown_hidden_width(weights, hidden, width)
    return hidden // width


def _gated_mlp_ratio(weights: OriginalWeights, width: int) -> int:
    """The ratio from which ``SwiGLUFFNFused`` derives the hidden width: two thirds of it, in multiples of 8."""
    hidden = weights.shape(f"blocks.0.{GATED}.weight", 2)[0] // 2
    for ratio in range(1, LARGEST_MLP_RATIO + 1):
        if (int(ratio * width * 2 / 3) + 7) // 8 * 8 == hidden:
            return ratio
    raise _unknown_hidden_width(weights, hidden, width)


def _unknown_hidden_width(weights: OriginalWeights, hidden: int, width: int) -> ModelError:
    return ModelError(
        f"the blocks of model '{weights.name}' have a hidden width of {hidden}, which does not follow from a whole "
        f"multiple of their width {width}; use one of the published models"
    )


def _block(weights: OriginalWeights, source: str, target: str, *, gated: bool) -> dict[str, torch.Tensor]:
    state = {
        f"{target}.layer_scale1.lambda1": weights.take(f"{source}.ls1.gamma"),
        f"{target}.layer_scale2.lambda1": weights.take(f"{source}.ls2.gamma"),
        **weights.module(f"{source}.norm1", f"{target}.norm1"),
        **weights.module(f"{source}.norm2", f"{target}.norm2"),
        **weights.fused(f"{source}.attn.qkv", [f"{target}.attention.{part}_proj" for part in "qkv"]),
        **weights.module(f"{source}.attn.proj", f"{target}.attention.o_proj"),
    }
    if gated:
        state |= weights.fused(f"{source}.{GATED}", [f"{target}.mlp.gate_proj", f"{target}.mlp.up_proj"])
        return state | weights.module(f"{source}.mlp.w3", f"{target}.mlp.down_proj")
    state |= weights.module(f"{source}.mlp.fc1", f"{target}.mlp.fc1")
    return state | weights.module(f"{source}.mlp.fc2", f"{target}.mlp.fc2")
