"""Families of networks: for each architecture, its loading and the reading of its tokens."""

from __future__ import annotations

from typing import Any

from zsad.errors import ModelError
from zsad.models.catalogue import CLIP, DINO, DINOV2, DINOV3, OPEN_CLIP, REGISTERS, SIGLIP2, TIPSV2
from zsad.models.families.base import Family, TokenReader
from zsad.models.families.clip import Clip
from zsad.models.families.dino import Dino
from zsad.models.families.dinov2 import Dinov2
from zsad.models.families.dinov2_with_registers import Dinov2WithRegisters
from zsad.models.families.dinov3_convnext import Dinov3ConvNext
from zsad.models.families.dinov3_vit import Dinov3Vit
from zsad.models.families.siglip import Siglip
from zsad.models.families.siglip2 import Siglip2
from zsad.models.families.tipsv2 import Tipsv2

# By the `model_type` of config.json. The modules are imported instead of named, since the tracing of code, which
# decides what runs again after a change, follows imports.
FAMILIES: dict[str, Family[Any]] = {
    "vit": Dino(),
    "dinov2": Dinov2(),
    "dinov2_with_registers": Dinov2WithRegisters(),
    "dinov3_vit": Dinov3Vit(),
    "dinov3_convnext": Dinov3ConvNext(),
    "clip": Clip(),
    "clip_vision_model": Clip(),  # the image tower, saved alone
    "siglip": Siglip(),
    "siglip_vision_model": Siglip(),
    "siglip2": Siglip2(),
    "siglip2_vision_model": Siglip2(),
    "tipsv2": Tipsv2(),
    "tipsv2_vision_model": Tipsv2(),
}

# For published models without ConvNeXts: their `ModelFacts.family`, and the type of their checkpoints.
PUBLISHED_FAMILIES: dict[str, str] = {
    DINO: "vit",
    DINOV2: "dinov2",
    REGISTERS: "dinov2_with_registers",
    CLIP: "clip",
    OPEN_CLIP: "clip",
    SIGLIP2: "siglip",
    TIPSV2: "tipsv2",
    DINOV3: "dinov3_vit",
}

__all__ = ["FAMILIES", "PUBLISHED_FAMILIES", "Family", "TokenReader", "family_of"]


def family_of(model_type: object, name: str) -> Family[Any]:
    """The family of a checkpoint.

    Args:
        model_type: from its ``config.json``.
        name: of the model, for the message.

    Raises:
        ModelError: there is none.
    """
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        elsewhere = ", or `family: resnet` for a local folder" if model_type == "resnet" else ""
        raise ModelError(
            f"model '{name}' has type '{model_type!s:.60}', which is not supported; use one of {', '.join(FAMILIES)}"
            f"{elsewhere}"
        )
    return FAMILIES[model_type]
