"""CLIP's text tower: sentences as unit vectors in the space that its images share (Radford et al., ICML 2021)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import transformers

from zsad.errors import ConfigError, ModelError, first_line
from zsad.lazy import torch
from zsad.models.config_files import config_content, parsed_config
from zsad.models.config_sense import built_within, computed_by, sense_of_config, sense_of_weights
from zsad.models.weight_files import weight_files

if TYPE_CHECKING:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

BATCH = 64  # texts
MODEL_TYPES = ("clip", "clip_text_model")
TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))  # either set is enough
OLD_END = 2  # token
SHOWN = 60  # characters of a text in a message


class TextEncoder:
    """A text tower that is loaded and ready; made by `load_text_encoder`.

    Attributes:
        name: of the model, for messages.
        channels: width of an embedding; that of the image tower's projected tokens.
        longest: most tokens that a text may have, its start and end included.
        device: where it runs.
    """

    def __init__(
        self, network: CLIPTextModelWithProjection, tokenizer: CLIPTokenizer, *, name: str, device: str
    ) -> None:
        self.name = name
        self.channels: int = network.text_projection.out_features
        self.longest: int = network.config.max_position_embeddings
        self.device = device
        self._network = network
        self._tokenizer = tokenizer

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of texts, float32 ``[text, channel]``, each of length 1.

        Raises:
            ConfigError: a text has more tokens than the model reads.
            ModelError: the tokenizer does not fit the model, or the model itself is damaged.
        """
        with computed_by(self.name):
            tokens = [self._checked_tokens(text) for text in texts]
            batches = [self._embedded(tokens[start : start + BATCH]) for start in range(0, len(tokens), BATCH)]
        return np.concatenate([np.empty((0, self.channels), dtype=np.float32), *batches])

    def _checked_tokens(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer(text, verbose=False)["input_ids"]
        if len(tokens) > self.longest:
            raise ConfigError(
                f"the text '{_shown(text)}' has {len(tokens)} tokens, but model '{self.name}' reads {self.longest}; "
                "shorten it"
            )
        return tokens

    def _embedded(self, tokens: list[list[int]]) -> np.ndarray:
        batch = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            embeddings = self._network(**batch).text_embeds
            return torch.nn.functional.normalize(embeddings, dim=-1).cpu().numpy()


def load_text_encoder(folder: Path, name: str, device: str) -> TextEncoder:
    """Load the text tower of a CLIP checkpoint, and its tokenizer; the image tower is left on the disk.

    Args:
        folder: holds ``config.json``, the weights and the tokenizer.
        name: of the model, for messages.
        device: of torch, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ModelError: the checkpoint has no text tower or no tokenizer, or is damaged.
    """
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with sense_of_config(name, folder):
        config = _text_config(folder, name)
    tokenizer = _tokenizer(folder, name)
    # The embedding is that of the end of the text, which a mismatch would leave unfound. Configurations by OpenAI say
    # 2, for which transformers takes the highest number in the text.
    if len(tokenizer) > config.vocab_size or config.eos_token_id not in (tokenizer.eos_token_id, OLD_END):
        raise ModelError(
            f"the tokenizer of model '{name}' is not that of its text tower ({len(tokenizer)} tokens, the last of a "
            f"text {tokenizer.eos_token_id}, for {config.vocab_size} and {config.eos_token_id}); download both again"
        )
    network = _network(folder, name, config)
    _move(network, device)
    return TextEncoder(network.eval(), tokenizer, name=name, device=device)


def _move(network: torch.nn.Module, device: str) -> None:
    network.to(device)


def _text_config(folder: Path, name: str) -> CLIPTextConfig:
    model_type = config_content(name, folder).get("model_type")
    if model_type not in MODEL_TYPES:
        raise ModelError(f"model '{name}' is of type '{model_type}', which has no text tower; choose a CLIP model")
    config = parsed_config(name, folder)
    if isinstance(config, transformers.CLIPTextConfig):
        return config
    text_config: CLIPTextConfig = copy.deepcopy(config.text_config)
    text_config.projection_dim = config.projection_dim  # the one that a model of both towers goes by
    return text_config


def _tokenizer(folder: Path, name: str) -> CLIPTokenizer:
    # Without its files, transformers makes a tokenizer that knows no word and says nothing.
    if not any(all((folder / file).is_file() for file in files) for files in TOKENIZER_FILES):
        raise ModelError(
            f"model '{name}' has no tokenizer in {folder}; add its tokenizer.json, or its vocab.json and merges.txt"
        )
    try:
        tokenizer: CLIPTokenizer = transformers.CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        return tokenizer
    except Exception as error:  # the tokenizers library raises bare Exceptions for unreadable files
        raise ModelError(
            f"the tokenizer of model '{name}' in {folder} cannot be loaded ({first_line(error)}); download it again"
        ) from None


def _network(folder: Path, name: str, config: CLIPTextConfig) -> CLIPTextModelWithProjection:
    with sense_of_weights(name, folder), built_within(weight_files(folder), name):
        # Annotated without the pair that comes of ``output_loading_info``.
        from_pretrained: Callable[..., Any] = transformers.CLIPTextModelWithProjection.from_pretrained
        loaded: tuple[CLIPTextModelWithProjection, dict[str, Any]] = from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            weights_only=True,
            use_safetensors=any(folder.glob("model*.safetensors")),
            output_loading_info=True,
        )
    network, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"the weights of model '{name}' lack {len(missing)} of the tensors of its text tower ({missing[0]}, ...); "
            "choose a CLIP model with both towers and their projections"
        )
    return network


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."
