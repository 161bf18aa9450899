"""The backbones by name, one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zsad.features.base import Backbone, NamedModel
from zsad.registry import Registry

IMAGE_TEXT = "image_text"  # the family of models with texts

BACKBONES: Registry[Backbone] = Registry(
    "backbone family",
    {
        "embedded": "zsad.features.embedded:Embedded",
        "efficientnet_lite": "zsad.features.efficientnet_lite:EfficientNetLite",
        "joint": "zsad.features.joint:Joint",
        "resnet": "zsad.features.resnet:ResNet",
        "transformers": "zsad.features.huggingface:HuggingFace",
        IMAGE_TEXT: "zsad.features.image_text:ImageText",
    },
)


def find_family(reference: str) -> tuple[str, dict[str, Any]] | None:
    """The family and the parameters for a reference in the configuration; None if no family knows it.

    Families are tried in order; those that accept any hub id or path come last.
    """
    for family in sorted(BACKBONES.names(), key=lambda name: BACKBONES.load(name).takes_any):
        params = BACKBONES.load(family).params_of(reference)
        if params is not None:
            return family, params
    return None


def completed(family: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the parameters of an entry, e.g. with the suitable parameters of a named model."""
    found = dict(params)
    for parameter, word in params.items():
        known = BACKBONES.load(family).params_of(word) if isinstance(word, str) else None
        if known is not None and parameter in known:
            found = {**known, **found, parameter: known[parameter]}
    return found


def listed(name: str) -> tuple[str, NamedModel] | None:
    """The family that lists a model by its name, and its facts; None if none does."""
    every = ((family, model) for family in BACKBONES.names() for model in BACKBONES.load(family).models())
    return next(((family, model) for family, model in every if model.name == name), None)


def model_names() -> list[str]:
    """The names of all models of all families."""
    return [model.name for family in BACKBONES.names() for model in BACKBONES.load(family).models()]
