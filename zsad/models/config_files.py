"""Read the configuration in a checkpoint's folder: its form, its family, and its parsed content."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub
import transformers

from zsad.errors import DataError, ModelError
from zsad.files.json_values import read_foreign_json
from zsad.models.config_sense import check_content, sense_of_config
from zsad.models.weight_files import CONFIG, TRANSFORMERS, form_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def silence_libraries() -> None:
    """Silence the libraries that load networks on the terminal, where errors are one sentence."""
    transformers.utils.logging.set_verbosity(logging.CRITICAL)  # errors are also exceptions
    transformers.utils.logging.disable_progress_bar()
    huggingface_hub.utils.logging.set_verbosity_error()


def config_content(name: str, folder: Path) -> dict[str, Any]:
    """The content of ``config.json``, which gives the form and family of a checkpoint; empty if it has no keys.

    Raises:
        ModelError: it does not exist, or is damaged.
    """
    if not (folder / CONFIG).is_file():
        raise ModelError(f"model '{name}' has no {CONFIG} in {folder}; save it with save_pretrained")
    with sense_of_config(name, folder):
        try:
            content = read_foreign_json(folder / CONFIG)
        except DataError as error:
            raise ModelError(f"model '{name}': {error}") from None
        if not isinstance(content, dict):
            return {}
        check_content(name, folder, content)
    return content


def timm_architecture(name: str, folder: Path) -> Any:
    """The architecture that a folder of ``timm`` names; None for any other folder.

    Raises:
        ModelError: the configuration is missing or damaged.
    """
    if form_of(folder) is not TRANSFORMERS:
        return None
    content = config_content(name, folder)
    return None if "model_type" in content else content.get("architecture")


def parsed_config(name: str, folder: Path) -> PretrainedConfig:
    """The configuration of a ``transformers`` folder.

    Raises:
        ModelError: it is invalid.
    """
    silence_libraries()
    with sense_of_config(name, folder):
        config: PretrainedConfig = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        return config
