"""The configuration in a checkpoint's folder: of what form and family it is, and what ``transformers`` makes of it."""

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
    """Have the libraries that load networks write nothing to the terminal, where all is told in one sentence."""
    transformers.utils.logging.set_verbosity(logging.CRITICAL)  # errors come as exceptions, too
    transformers.utils.logging.disable_progress_bar()
    huggingface_hub.utils.logging.set_verbosity_error()


def config_content(name: str, folder: Path) -> dict[str, Any]:
    """The content of ``config.json``, which says of what form and family a checkpoint is; empty if it has no keys.

    Raises:
        ModelError: there is none, or it is damaged.
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
        ModelError: the configuration is absent or damaged.
    """
    if form_of(folder) is not TRANSFORMERS:
        return None
    content = config_content(name, folder)
    return None if "model_type" in content else content.get("architecture")


def parsed_config(name: str, folder: Path) -> PretrainedConfig:
    """The configuration of a ``transformers`` folder.

    Raises:
        ModelError: it cannot be used.
    """
    silence_libraries()
    with sense_of_config(name, folder):
        config: PretrainedConfig = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        return config
