"""DINOv3 as timm publishes it.

Source: https://github.com/huggingface/pytorch-image-models, ``timm/models/eva.py`` and ``timm/models/convnext.py``.
Tensors are recognised by the architecture that a timm folder names, since other models of timm use the same names
with other rotary positions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch

from zsad.errors import ModelError
from zsad.models.conversion import dinov3_convnext, dinov3_vit
from zsad.models.conversion.converted import Converted
from zsad.models.conversion.weights import OriginalWeights

# timm does not store the periods of the rotary positions, which would give the width of a head.
HEAD_WIDTH = 64
HEAD_WIDTH_OF_WIDTH = {4096: 128}  # the 7B
DROPPED = (r"head\.(weight|bias)",)  # a classifier after the last norm


def from_timm(state: Mapping[str, torch.Tensor], architecture: str, name: str) -> Converted:
    """Convert a state dict in the names of timm.

    Args:
        state: of the folder's ``model.safetensors``.
        architecture: of its ``config.json``, such as ``"vit_small_patch16_dinov3"``.
        name: of the model, for messages.

    Raises:
        ModelError: it is another architecture; or a tensor is missing, unused, or of another shape.
    """
    bare = str(architecture).partition(".")[0]  # the part after the dot describes its training
    for pattern, convert in ARCHITECTURES.items():
        if re.fullmatch(pattern, bare):
            return convert(OriginalWeights(state, name))
    elsewhere = ", or `family: resnet` for a ResNet" if re.fullmatch(r"(wide_)?resnet\d+(_2)?", bare) else ""
    raise ModelError(
        f"model '{name}' has timm's architecture '{architecture}', which is not supported; "
        "use a DINOv3 model of timm (vit_..._dinov3, or convnext_....dinov3_lvd1689m), or one of transformers"
        f"{elsewhere}"
    )


def _dinov3_vit(weights: OriginalWeights) -> Converted:
    weights.drop(DROPPED)
    width = weights.shape("cls_token", 3)[2]
    return dinov3_vit.convert(weights, VIT_NAMES, HEAD_WIDTH_OF_WIDTH.get(width, HEAD_WIDTH))


def _dinov3_convnext(weights: OriginalWeights) -> Converted:
    return dinov3_convnext.convert(weights, CONVNEXT_NAMES)


def _separate_bias(weights: OriginalWeights, attention: str) -> dinov3_vit.QkvBias:
    """timm's biases of queries and values; keys have none, and models without ``_qkvb`` in their name none at all."""
    query, value = (f"{attention}.{part}_bias" for part in "qv")
    return dinov3_vit.QkvBias(
        query=weights.take(query) if query in weights else None,
        key=None,
        value=weights.take(value) if value in weights else None,
    )


VIT_NAMES = dinov3_vit.Names(
    registers="reg_token",
    scales=("gamma_1", "gamma_2"),
    gated=("mlp.fc1_g", "mlp.fc1_x", "mlp.fc2"),
    qkv_bias=_separate_bias,
)
CONVNEXT_NAMES = dinov3_convnext.Names(
    downsampling=lambda stage: "stem" if stage == 0 else f"stages.{stage}.downsample",
    blocks=lambda stage: f"stages.{stage}.blocks.",
    depthwise="conv_dw",
    pointwise=("mlp.fc1", "mlp.fc2"),
    final_norm="head.norm",
)
ARCHITECTURES: dict[str, Callable[[OriginalWeights], Converted]] = {
    r"vit_\w+_patch\d+_dinov3(_qkvb)?": _dinov3_vit,
    r"convnext_(tiny|small|base|large)": _dinov3_convnext,
}
