"""Checkpoints of vision transformers: found in a local folder or on the Hugging Face hub, checked, and loaded.

Whatever goes wrong on the way is a `ModelError` that says how to mend it; the libraries underneath stay silent.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import huggingface_hub
import transformers
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    StrictDataclassError,
)
from safetensors import SafetensorError

from zsad.errors import ConfigError, DataError, ModelError
from zsad.store import read_json

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

FINAL_NORM = {"dinov2": "layernorm", "dinov2_with_registers": "layernorm", "dinov3_vit": "norm"}
WEIGHT_PATTERNS = ("model.safetensors", "model-*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin")
DOWNLOADED = ("config.json", "*.safetensors", "*.safetensors.index.json")
UNUSED_WEIGHTS = ("embeddings.mask_token",)  # only pre-training uses it, and some conversions leave it out


class Checkpoint(NamedTuple):
    """A checkpoint on this machine.

    Attributes:
        name: as the configuration names it.
        folder: where its ``config.json`` and weights lie.
        commit: the hub's commit hash; None for a local folder.
        config: its parsed configuration.
        weight_files: what will be loaded.
    """

    name: str
    folder: Path
    commit: str | None
    config: PretrainedConfig
    weight_files: list[Path]


def find_checkpoint(name: str, revision: str | None) -> Checkpoint:
    """Find a checkpoint, downloading it from the hub if it is not in the local cache.

    Args:
        name: a local folder, or a hub id such as ``"facebook/dinov2-small"``.
        revision: branch, tag or commit on the hub; None for the main branch.

    Raises:
        ConfigError: a revision of a local folder.
        ModelError: absent, gated, unreachable, incomplete, or of an unknown family.
    """
    _silence_libraries()
    local = Path(name).expanduser()
    if local.is_dir():
        if revision is not None:
            raise ConfigError(f"revision '{revision}' is set but model '{name}' is a local folder; leave it out")
        return _checkpoint(name, local, commit=None)
    if local.is_absolute() or name.startswith((".", "~")):
        raise ModelError(f"the model folder '{name}' does not exist; correct 'model', or give a hub id")
    folder = _downloaded(name, revision)
    return _checkpoint(name, folder, commit=folder.name)


def load_model(checkpoint: Checkpoint, dtype: torch.dtype, device: str) -> PreTrainedModel:
    """Load the weights, for inference.

    Raises:
        ModelError: the weights are damaged, or those of another model.
    """
    with _damaged_weights(checkpoint):
        model, info = transformers.AutoModel.from_pretrained(
            checkpoint.folder,
            config=checkpoint.config,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            use_safetensors=checkpoint.weight_files[0].suffix == ".safetensors",
            output_loading_info=True,
        )
    missing = sorted(set(info["missing_keys"]) - set(UNUSED_WEIGHTS))
    if missing:
        raise ModelError(
            f"the weights of model '{checkpoint.name}' lack {len(missing)} of its tensors ({missing[0]}, ...); "
            "download it again, or correct its config.json"
        )
    return model.to(device).eval()


def _silence_libraries() -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    huggingface_hub.utils.logging.set_verbosity_error()


def _downloaded(name: str, revision: str | None) -> Path:
    """The folder of a hub model in the local cache; unlike ``from_pretrained``, it fails at once without network."""
    page = f"https://huggingface.co/{name}"
    try:
        return Path(huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=list(DOWNLOADED)))
    except HFValidationError:
        message = f"model '{name}' is neither an existing folder nor a hub id such as 'facebook/dinov2-small'"
    except GatedRepoError:
        message = f"model '{name}' is gated; accept its licence on {page} and log in with `hf auth login`"
    except RepositoryNotFoundError:
        message = (
            f"the hub has no public model '{name}'; correct the id, or log in with `hf auth login` if it is private"
        )
    except RevisionNotFoundError:
        message = f"model '{name}' has no revision '{revision}'; {page} lists those that exist"
    except LocalEntryNotFoundError:
        message = (
            f"model '{name}' is not whole in the local cache and the hub cannot be reached; download it ahead where "
            f"there is a network (`hf download {name}`), or point 'model' at a local folder"
        )
    except (OSError, HTTPError) as error:
        message = (
            f"model '{name}' cannot be downloaded ({_one_line(error)}); run again, or point 'model' at a local folder"
        )
    raise ModelError(message)


def _checkpoint(name: str, folder: Path, commit: str | None) -> Checkpoint:
    config = _config(name, folder)
    for pattern in WEIGHT_PATTERNS:
        weight_files = sorted(folder.glob(pattern))
        if weight_files:
            return Checkpoint(name, folder, commit, config, weight_files)
    raise ModelError(f"model '{name}' has no weights ({WEIGHT_PATTERNS[0]}) in {folder}; add them, or choose another")


def _config(name: str, folder: Path) -> PretrainedConfig:
    if not (folder / "config.json").is_file():
        raise ModelError(f"model '{name}' has no config.json in {folder}; save it with save_pretrained")
    try:
        content: Any = read_json(folder / "config.json")
    except DataError as error:
        raise ModelError(f"model '{name}': {error}") from None
    model_type = content.get("model_type") if isinstance(content, dict) else None
    if model_type not in FINAL_NORM:
        raise ModelError(
            f"model '{name}' is of type '{model_type}', which is not supported; use one of {', '.join(FINAL_NORM)}"
        )
    try:
        return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, TypeError, ValueError, StrictDataclassError) as error:
        raise ModelError(f"the config.json of model '{name}' is not usable ({_one_line(error)}); mend it") from None


@contextmanager
def _damaged_weights(checkpoint: Checkpoint) -> Iterator[None]:
    try:
        yield
        return
    except pickle.UnpicklingError:
        reason = "they are damaged, or hold more than tensors, which may be harmful code"
    except (SafetensorError, EOFError, OSError, RuntimeError, ValueError) as error:
        reason = _one_line(error)
    raise ModelError(
        f"the weights of model '{checkpoint.name}' in {checkpoint.folder} cannot be loaded ({reason}); "
        "download them again"
    ) from None


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
