"""The published models by name, with the facts that users need before a download.

This module only has facts, so that the names can be listed without importing a framework or using a network connection.
Parameters are counted from the architecture, and agree with the sizes of the published files.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from zsad.models.published import clip, dino, resnet, siglip, tipsv2
from zsad.models.published.clip import CLIP, OPEN_CLIP
from zsad.models.published.dino import DINO, DINOV2, DINOV3, REGISTERS
from zsad.models.published.facts import ModelFacts
from zsad.models.published.resnet import network_of
from zsad.models.published.siglip import SIGLIP2
from zsad.models.published.tipsv2 import TIPSV2

__all__ = [
    "BY_HUB_ID",
    "CLIP",
    "DINO",
    "DINOV2",
    "DINOV3",
    "MODELS",
    "OPEN_CLIP",
    "REGISTERS",
    "RESNETS",
    "SIGLIP2",
    "TIPSV2",
    "ModelFacts",
    "facts_of",
    "names",
    "network_of",
    "resnet_facts_of",
    "ungated_twin",
]

KINDS = (dino, clip, siglip, tipsv2)  # modules, in the order of the list
MODELS: Mapping[str, ModelFacts] = MappingProxyType({facts.name: facts for kind in KINDS for facts in kind.published()})
BY_HUB_ID: Mapping[str, ModelFacts] = MappingProxyType({facts.hub_id: facts for facts in MODELS.values()})
# Models of a separate family, which reads them in another way.
RESNETS: Mapping[str, ModelFacts] = MappingProxyType({facts.name: facts for facts in resnet.published()})


def facts_of(name: str) -> ModelFacts | None:
    """The facts of a model by its name here or its hub id; None for any other."""
    return MODELS.get(name) or BY_HUB_ID.get(name)


def resnet_facts_of(name: str) -> ModelFacts | None:
    """The facts of a ResNet by its name here or its hub id; None for any other."""
    return next((facts for facts in RESNETS.values() if name in (facts.name, facts.hub_id)), None)


def names() -> list[str]:
    """All names, by family and size."""
    return list(MODELS)


def ungated_twin(facts: ModelFacts) -> ModelFacts | None:
    """An ungated entry with the same weights as a gated one, if there is one."""
    return MODELS.get(f"{facts.name}-timm") if facts.gated else None
