"""Checkpoints: recognised, checked and loaded, in the three forms in which they are published.

``transformers`` folders, ``timm`` folders (DINOv3), and the ``.pth`` files of ``torch.hub`` (DINOv2, DINOv3). Whatever
goes wrong on the way is a `ModelError` that says how to mend it; the libraries underneath stay silent.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import huggingface_hub
import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file

from zsad.errors import DataError, ModelError, first_line
from zsad.features.conversion import Converted, from_timm, from_torch_hub, read_pth
from zsad.features.families import Family, family_of
from zsad.features.hub import locate, weight_files
from zsad.store import read_foreign_json

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


class Checkpoint(NamedTuple):
    """A checkpoint on this machine.

    Attributes:
        name: as the configuration names it.
        source: its folder, or its file.
        commit: the hub's commit hash; None for a local one.
        config: its configuration, of ``transformers``.
        family: the kind of network.
        weight_files: where its weights are.
        state: its weights by their names in ``transformers``, if they had to be converted; None if not.
    """

    name: str
    source: Path
    commit: str | None
    config: PretrainedConfig
    family: Family
    weight_files: list[Path]
    state: dict[str, torch.Tensor] | None

    def load(self, attention: str, *, projected: bool) -> PreTrainedModel:
        """The network with its weights in float32, for inference, on the CPU.

        Args:
            attention: name of an implementation of attention; a network without attention takes no notice.
            projected: whether the weights of the projection to the space of texts are needed.

        Raises:
            ModelError: the weights are damaged, or those of another model.
        """
        source: dict[str, Any] = {"pretrained_model_name_or_path": None, "state_dict": self.state}
        if self.state is None:
            source = {
                "pretrained_model_name_or_path": self.source,
                "local_files_only": True,
                "trust_remote_code": False,
                "weights_only": True,
                "use_safetensors": self.weight_files[0].suffix == ".safetensors",
            }
        with damaged_weights(self.name, self.source):
            model, info = self.family.model_class().from_pretrained(
                **source,
                **self.family.load_arguments,
                config=self.config,
                dtype=torch.float32,
                attn_implementation=attention if self.family.has_attention else None,
                output_loading_info=True,
            )
        missing = sorted(set(info["missing_keys"]) - set(self.family.optional_weights(projected=projected)))
        if missing:
            raise ModelError(
                f"the weights of model '{self.name}' lack {len(missing)} of its tensors ({missing[0]}, ...); "
                "download it again, or correct its config.json"
            )
        return model.eval()


def find_checkpoint(name: str, revision: str | None) -> Checkpoint:
    """Find a checkpoint, downloading it from the hub if it is not in the local cache, and read its configuration.

    Args:
        name: see `zsad.features.hub.locate`.
        revision: branch, tag or commit on the hub; None for the main branch.

    Raises:
        ConfigError: a revision of a local folder.
        ModelError: absent, gated, unreachable, incomplete, damaged, or of an unknown family.
    """
    _silence_libraries()
    path, commit = locate(name, revision)
    if path.is_file():
        with damaged_weights(name, path):
            converted = from_torch_hub(read_pth(path), name)
        return _converted(name, path, commit, converted, [path])
    content = config_content(name, path)
    files = required_weights(name, path)
    if "architecture" in content and "model_type" not in content:
        with damaged_weights(name, path):
            state = {key: tensor for file in files for key, tensor in load_file(file).items()}
        converted = from_timm(state, content["architecture"], name)
        return _converted(name, path, commit, converted, files)
    family = family_of(content.get("model_type"), name)
    return Checkpoint(name, path, commit, family.config_for(parsed_config(name, path)), family, files, None)


def _silence_libraries() -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    huggingface_hub.utils.logging.set_verbosity_error()


def _converted(
    name: str, source: Path, commit: str | None, converted: Converted, weight_files: list[Path]
) -> Checkpoint:
    family = family_of(converted.config.model_type, name)
    return Checkpoint(name, source, commit, converted.config, family, weight_files, converted.state)


def required_weights(name: str, folder: Path) -> list[Path]:
    """The files of weights in a folder; none is read.

    Raises:
        ModelError: there are none, or they are not whole.
    """
    if files := weight_files(folder):
        return files
    raise ModelError(f"model '{name}' has no weights (model.safetensors) in {folder}; add them, or choose another")


def config_content(name: str, folder: Path) -> dict[str, Any]:
    """The content of ``config.json``, which says of what form and family a checkpoint is; empty if it has no keys.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"model '{name}' has no config.json in {folder}; save it with save_pretrained")
    try:
        content = read_foreign_json(folder / "config.json")
    except DataError as error:
        raise ModelError(f"model '{name}': {error}") from None
    return content if isinstance(content, dict) else {}


def parsed_config(name: str, folder: Path) -> PretrainedConfig:
    """The configuration of a ``transformers`` folder.

    Raises:
        ModelError: it cannot be used.
    """
    try:
        return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, TypeError, ValueError, StrictDataclassError) as error:
        raise ModelError(f"the config.json of model '{name}' is not usable ({first_line(error)}); mend it") from None


@contextmanager
def damaged_weights(name: str, source: Path) -> Iterator[None]:
    """Turn whatever a library says of weights that it cannot load into a `ModelError`."""
    try:
        yield
        return
    except pickle.UnpicklingError:
        reason = "they are damaged, or hold more than tensors, which may be harmful code"
    except (SafetensorError, EOFError, OSError, RuntimeError, ValueError) as error:
        reason = first_line(error)
    raise ModelError(
        f"the weights of model '{name}' in {source} cannot be loaded ({reason}); download them again"
    ) from None
