"""Checkpoints: recognised, checked and loaded, in the forms in which they are published.

``transformers`` folders, ``timm`` folders (DINOv3), ``open_clip`` folders, and single files (DINOv2 and DINOv3 of
``torch.hub``, ``.pth``; OpenAI's CLIP and open_clip, ``.pt``). All errors are a `ModelError` with the fix; the
underlying libraries stay silent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from safetensors.torch import load_file

from zsad.errors import ModelError
from zsad.models.colours import Normalisation
from zsad.models.config_files import config_content, parsed_config, silence_libraries
from zsad.models.config_sense import built_within, sense_of_config, sense_of_weights, whole_number
from zsad.models.conversion import open_clip
from zsad.models.conversion.converted import Converted
from zsad.models.conversion.open_clip_config import read_config
from zsad.models.conversion.timm import from_timm
from zsad.models.conversion.torch_hub import from_torch_hub
from zsad.models.conversion.weights import OriginalWeights
from zsad.models.families import Family, family_of
from zsad.models.held import take_or_load
from zsad.models.hub import locate
from zsad.models.preprocessing import Stated, stated_normalisation
from zsad.models.pth import read_pth
from zsad.models.weight_files import OPEN_CLIP, OPEN_CLIP_CONFIG, PREPROCESSOR, form_of, required_weights

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

Network = TypeVar("Network", bound="PreTrainedModel")

USUAL = "usual of its family"  # the source of a normalisation that a checkpoint does not state

logger = logging.getLogger(__name__)


class Checkpoint(NamedTuple):
    """A checkpoint on this machine.

    Attributes:
        name: as in the configuration.
        source: its folder, or its file.
        commit: the hub's commit hash; None for a local one.
        config: its configuration in ``transformers``.
        family: the kind of network.
        weight_files: the files with its weights.
        state: its weights by their names in ``transformers``, if they had to be converted; else None.
        pixels: their normalisation, and the file that states it, or `USUAL`.
    """

    name: str
    source: Path
    commit: str | None
    config: PretrainedConfig
    family: Family[Any]
    weight_files: list[Path]
    state: dict[str, torch.Tensor] | None
    pixels: Stated

    @property
    def normalisation(self) -> Normalisation:
        """Normalisation of pixels."""
        return self.pixels.normalisation

    def load(self, attention: str, *, projected: bool) -> PreTrainedModel:
        """Load the network with its weights in float32, for inference, on the CPU; take a held one if possible.

        Args:
            attention: name of an implementation of attention; ignored by a network without attention.
            projected: whether the weights of the projection into the space of texts are needed.

        Raises:
            ModelError: the weights are damaged, or those of another model.
        """
        return take_or_load(
            f"{__name__}:{load_from.__name__}",
            self.source,
            (attention, projected),
            lambda: self.read(attention, projected=projected),
        )

    def read(self, attention: str, *, projected: bool) -> PreTrainedModel:
        """See `load`; always reads the files."""
        model: PreTrainedModel
        model, lacking = load_network(
            self,
            self.family.model_class(),
            self.config,
            self.state,
            **self.family.load_arguments,
            attn_implementation=attention if self.family.has_attention else None,
        )
        missing = sorted(lacking - set(self.family.optional_weights(projected=projected)))
        if missing:
            raise ModelError(
                f"the weights of model '{self.name}' lack {len(missing)} of its tensors ({missing[0]}, ...); "
                "download it again, or correct its config.json"
            )
        model.eval()
        return model


class FoundCheckpoint(NamedTuple):
    """A checkpoint on this machine, before one of its networks is chosen.

    Attributes:
        name: as in the configuration.
        source: its folder, or its file.
        commit: the hub's commit hash; None for a local one.
        model_type: its architecture's name in ``transformers``; None if its ``config.json`` does not state it.
        weight_files: the files with its weights.
        converted: its configuration and weights, if they had to be converted; else None.
    """

    name: str
    source: Path
    commit: str | None
    model_type: object
    weight_files: list[Path]
    converted: Converted | None

    @property
    def state(self) -> dict[str, torch.Tensor] | None:
        """Its weights by their names in ``transformers``, if they had to be converted; else None."""
        return None if self.converted is None else self.converted.state

    def pixels(self) -> Stated | None:
        """The normalisation of pixels; None if it is not stated.

        Raises:
            ModelError: a file that should state it is invalid.
        """
        if self.converted is not None and self.converted.normalisation is not None:
            return Stated(self.converted.normalisation, OPEN_CLIP_CONFIG)
        return stated_normalisation(self.name, self.source)

    def config(self) -> PretrainedConfig:
        """Its configuration.

        Raises:
            ModelError: it cannot be used.
        """
        return parsed_config(self.name, self.source) if self.converted is None else self.converted.config


def load_network(
    found: Checkpoint | FoundCheckpoint,
    kind: type[Network],
    config: PretrainedConfig,
    state: Mapping[str, torch.Tensor] | None,
    **options: Any,
) -> tuple[Network, set[str]]:
    """Load a network with its weights in float32, on the CPU; also return the names of missing weights.

    Args:
        found: the checkpoint.
        kind: the network's class in ``transformers``.
        config: of this network, not of both towers.
        state: its weights, if they had to be converted; None to read them from the files.
        options: further ones of ``from_pretrained``.

    Raises:
        ModelError: the weights are damaged, or those of another model.
    """
    source: dict[str, Any] = {"pretrained_model_name_or_path": None, "state_dict": state}
    if state is None:
        source = {
            "pretrained_model_name_or_path": found.source,
            "local_files_only": True,
            "trust_remote_code": False,
            "weights_only": True,
            "use_safetensors": found.weight_files[0].suffix == ".safetensors",
        }
    with sense_of_weights(found.name, found.source), built_within(found.weight_files, found.name):
        # Annotated without the pair returned with ``output_loading_info``.
        from_pretrained: Callable[..., Any] = kind.from_pretrained
        loaded: tuple[Network, dict[str, Any]] = from_pretrained(
            **source, **options, config=config, dtype=torch.float32, output_loading_info=True
        )
    network, info = loaded
    return network, set(info["missing_keys"])


def locate_checkpoint(name: str, revision: str | None) -> FoundCheckpoint:
    """Find a checkpoint and its type, downloading it from the hub if it is not in the local cache.

    Args:
        name: see `zsad.models.hub.locate`.
        revision: branch, tag or commit on the hub; None for the main branch.

    Raises:
        ConfigError: a revision of a local folder.
        ModelError: it is missing, gated, unreachable, incomplete, damaged, or in an unsupported form.
    """
    silence_libraries()
    path, commit = locate(name, revision)
    if path.is_file():
        with sense_of_weights(name, path):
            converted = from_torch_hub(read_pth(path), name, path)
        return _converted(name, path, commit, converted, [path])
    if form_of(path) is OPEN_CLIP:
        described = read_config(name, path / OPEN_CLIP_CONFIG)
        files = required_weights(name, path)
        with sense_of_weights(name, path):
            converted = open_clip.convert(OriginalWeights(_tensors(files), name), described)
        return _converted(name, path, commit, converted, files)
    content = config_content(name, path)
    files = required_weights(name, path)
    if "architecture" in content and "model_type" not in content:
        with sense_of_weights(name, path):
            converted = from_timm(_tensors(files), content["architecture"], name)
        return _converted(name, path, commit, converted, files)
    return FoundCheckpoint(name, path, commit, content.get("model_type"), files, None)


def find_checkpoint(name: str, revision: str | None) -> Checkpoint:
    """Find a checkpoint, and read the configuration of its image tower.

    Args:
        name: see `zsad.models.hub.locate`.
        revision: branch, tag or commit on the hub; None for the main branch.

    Raises:
        ConfigError: a revision of a local folder.
        ModelError: see `locate_checkpoint`; or its family is unknown.
    """
    found = locate_checkpoint(name, revision)
    family = family_of(found.model_type, name)
    config = checked_config(family, found.config(), name, found.source)
    pixels = found.pixels()
    if pixels is None:
        pixels = Stated(Normalisation(family.mean, family.std), USUAL)
        _tell_of_usual(found, pixels.normalisation)
    return Checkpoint(
        name=name,
        source=found.source,
        commit=found.commit,
        config=config,
        family=family,
        weight_files=found.weight_files,
        state=found.state,
        pixels=pixels,
    )


def load_from(source: Path, attention: str, projected: bool) -> PreTrainedModel:
    """The network of a folder or file on this machine, see `Checkpoint.read`; for `zsad.models.held`."""
    return find_checkpoint(str(source), revision=None).read(attention, projected=projected)


def checked_config(family: Family[Any], config: PretrainedConfig, name: str, source: Path) -> PretrainedConfig:
    """Return the part of a configuration that describes the network, with valid numbers of patches and layers.

    Raises:
        ModelError: the numbers are invalid.
    """
    with sense_of_config(name, source):
        own = family.config_for(config)
        whole_number(family.patch(own), "the patch size", name)
        whole_number(family.layer_count(own), f"the number of {family.layer_noun}s", name)
    return own


def family_in(name: str, folder: Path) -> tuple[Family[Any], PretrainedConfig]:
    """The family of a folder's image tower and its configuration; no weights are read or required.

    Args:
        name: of the model, for messages.
        folder: of ``transformers`` or open_clip.

    Raises:
        ModelError: the configuration is missing, damaged, or of an unknown family.
    """
    config: PretrainedConfig
    if form_of(folder) is OPEN_CLIP:
        described = read_config(name, folder / OPEN_CLIP_CONFIG)
        config = open_clip.config_of(described.sizes, quick_gelu=described.quick_gelu)
        family = family_of(config.model_type, name)
    else:
        family = family_of(config_content(name, folder).get("model_type"), name)
        config = parsed_config(name, folder)
    return family, checked_config(family, config, name, folder)


def _tell_of_usual(found: FoundCheckpoint, normalisation: Normalisation) -> None:
    """Log that pixels are normalised with the family's usual values."""
    folder = found.source if found.source.is_dir() else found.source.parent
    logger.info(
        "model '%s' does not state the normalisation of its pixels (no %s in %s): the usual values of its family are "
        "used, mean %s and standard deviation %s",
        found.name,
        PREPROCESSOR,
        folder,
        *(", ".join(f"{value:g}" for value in values) for values in normalisation),
    )


def _tensors(files: Sequence[Path]) -> dict[str, torch.Tensor]:
    """All tensors of weights files, by their names."""
    read = {".safetensors": load_file}
    return {key: tensor for file in files for key, tensor in read.get(file.suffix, read_pth)(file).items()}


def _converted(
    name: str, source: Path, commit: str | None, converted: Converted, weight_files: list[Path]
) -> FoundCheckpoint:
    return FoundCheckpoint(name, source, commit, converted.config.model_type, weight_files, converted)
