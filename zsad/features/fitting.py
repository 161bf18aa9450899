"""Check the parameters of a configuration against a model, before the first expensive step.

Nothing is downloaded and no weights are read: published models are in a table here; for a model on this machine its
``config.json`` is used, or the shapes of the tensors in its ``.pth`` file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsad.features.architecture import CONVNEXTS, facts_of_timm, layer_count, model_folder
from zsad.features.geometry import SIDES, check_multiples
from zsad.features.network_options import NetworkOptions
from zsad.models.catalogue import ModelFacts, facts_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from zsad.models.families import Family


def check_fit(backbone: NetworkOptions) -> None:
    """Check resolution, tiles and layers against the model, if it is published or on this machine.

    Raises:
        ConfigError: a side is not a multiple of the patch size, a layer does not exist or is named twice, or the model
            shares no space with texts, or does not support the requested path.
        ModelError: it is on this machine, and damaged, incomplete, or of an unknown family.
    """
    if facts := facts_of(backbone.model):
        return _check_published(backbone, facts)
    folder = model_folder(backbone)
    if folder is not None:
        return _check_folder(backbone, folder)
    path = Path(backbone.model)
    if path.is_file():
        _check_file(backbone, path)
    return None


def _check_published(backbone: NetworkOptions, facts: ModelFacts) -> None:
    _check_sides(backbone, facts.patch)
    noun = "stage" if facts.name.removesuffix("-timm") in CONVNEXTS else "block"
    backbone.reading().check_published(facts, layer_count(facts), noun, backbone.model)


def _check_sides(backbone: NetworkOptions, patch: int) -> None:
    check_multiples({side: getattr(backbone, side) for side in SIDES}, patch, backbone.model)


def _check_folder(backbone: NetworkOptions, folder: Path) -> None:
    from zsad.models.checkpoint import family_in
    from zsad.models.config_files import timm_architecture
    from zsad.models.weight_files import required_weights

    architecture = timm_architecture(backbone.model, folder)
    required_weights(backbone.model, folder)
    if architecture is not None:
        facts = facts_of_timm(architecture)
        return _check_published(backbone, facts) if facts else None  # for others the conversion reports what they lack
    return _check_config(backbone, *family_in(backbone.model, folder))


def _check_file(backbone: NetworkOptions, path: Path) -> None:
    from zsad.models.config_sense import sense_of_weights
    from zsad.models.conversion.torch_hub import from_torch_hub
    from zsad.models.families import family_of
    from zsad.models.pth import read_pth

    with sense_of_weights(backbone.model, path):  # memory-mapped: no weights are read
        config = from_torch_hub(read_pth(path), backbone.model, path).config
    _check_config(backbone, family_of(config.model_type, backbone.model), config)


def _check_config(backbone: NetworkOptions, family: Family[Any], config: PretrainedConfig) -> None:
    _check_sides(backbone, family.patch(config))
    backbone.reading().check(family, config, backbone.model)
