"""CLIP's text tower: sentences as vectors in the space of its images (Radford et al., ICML 2021)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import transformers

from zsad.errors import ConfigError, ModelError, first_line
from zsad.lazy import torch
from zsad.models.checkpoint import FoundCheckpoint
from zsad.models.config_files import silence_libraries
from zsad.models.config_sense import computed_by, sense_of_config
from zsad.models.hub import check_weights
from zsad.models.texts.base import TextModel
from zsad.models.texts.batched import BatchedTexts
from zsad.models.texts.deep_prompts import check_learned, embed_learned
from zsad.models.texts.tokenizers import Tokenizer, locate_tokenizer
from zsad.models.texts.towers import check_no_head, loaded_tower

if TYPE_CHECKING:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    from zsad.models.texts.learned_tokens import LearnedTokens

TOWER = ("text_model.", "text_projection.")  # prefixes of its weights in a checkpoint of both towers
TOKENIZER = "openai/clip-vit-base-patch16"  # hub id; all of CLIP's models have the same
TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))  # either set is enough
OLD_END = 2  # token


class ClipTexts(BatchedTexts):
    """CLIP's text tower; made by `load_texts`."""

    def __init__(
        self, network: CLIPTextModelWithProjection, tokenizer: CLIPTokenizer, *, device: str, model: dict[str, Any]
    ) -> None:
        super().__init__(
            channels=network.text_projection.out_features,
            longest=network.config.max_position_embeddings,
            device=device,
            model=model,
        )
        self._network = network
        self._tokenizer = tokenizer

    def encode_learned(self, learned: LearnedTokens) -> np.ndarray:
        """See `TextEncoder.encode_learned`."""
        check_learned(self._network, learned, self.name)
        sentences = [(learned.normal, learned.normal_words), (learned.anomalous, learned.anomalous_words)]
        with computed_by(self.name):
            embeddings = [
                embed_learned(self._network, self._words_after(tokens, words), tokens, learned.deep)
                for tokens, words in sentences
            ]
        return torch.stack(embeddings).cpu().numpy()

    def _words_after(self, tokens: torch.Tensor, words: str) -> list[int]:
        """The tokens of words, with start and end, checked to fit after the learned ones."""
        numbers = self._tokens(words)
        if (count := len(tokens) + len(numbers)) > self.longest:
            raise ConfigError(
                f"the {len(tokens)} learned tokens of text_prompts and '{words}' have {count} tokens with start and "
                f"end, but model '{self.name}' reads {self.longest}; choose the model that they were learned for"
            )
        return numbers

    def _tokens(self, text: str) -> list[int]:
        return clip_tokens(self._tokenizer, text)

    def _embedded(self, tokens: list[list[int]]) -> np.ndarray:
        batch = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            embeddings: np.ndarray = self._network(**batch).text_embeds.cpu().numpy()
        return embeddings


def load_texts(wanted: TextModel, found: FoundCheckpoint, device: str) -> ClipTexts:
    """Load the text tower of a CLIP checkpoint, and its tokenizer; the image tower is not loaded.

    Args:
        wanted: the model and its tokenizer; ``head`` is not allowed.
        found: its checkpoint.
        device: of torch, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: there is a ``head``.
        ModelError: the checkpoint has no text tower or no tokenizer, or is damaged.
    """
    name = found.name
    check_no_head(wanted, "CLIP")
    silence_libraries()
    with sense_of_config(name, found.source):
        config = _text_config(found)
    # A single file has no tokenizer, but open_clip's plain models all use OpenAI's.
    place = locate_tokenizer(wanted, found, TOKENIZER_FILES, None if found.converted is None else TOKENIZER)
    tokenizer = clip_tokenizer(place, name)
    # The embedding is that of the end token, which a mismatch would not find. Configurations by OpenAI give 2, for
    # which transformers uses the highest number in the text.
    if len(tokenizer) > config.vocab_size or config.eos_token_id not in (tokenizer.eos_token_id, OLD_END):
        raise ModelError(
            f"the tokenizer of model '{name}' is not that of its text tower ({len(tokenizer)} tokens, the last of a "
            f"text {tokenizer.eos_token_id}, for {config.vocab_size} and {config.eos_token_id}); {place.remedy}"
        )
    digests = check_weights(found.weight_files, wanted.sha256, name)
    network = loaded_tower(
        found,
        transformers.CLIPTextModelWithProjection,
        config,
        device,
        state=None if found.state is None else _of_tower(found.state),
        remedy="choose a CLIP model with both towers and their projections",
    )
    model = {"id": name, "revision": found.commit, "weights_sha256": digests, **place.provenance}
    return ClipTexts(network, tokenizer, device=device, model=model)


def _text_config(found: FoundCheckpoint) -> CLIPTextConfig:
    config = found.config()
    if isinstance(config, transformers.CLIPTextConfig):
        return config
    text_config: CLIPTextConfig = copy.deepcopy(config.text_config)
    text_config.projection_dim = config.projection_dim  # the one that a model of both towers uses
    return text_config


def clip_tokenizer(place: Tokenizer, name: str) -> CLIPTokenizer:
    """Load CLIP's tokenizer.

    Args:
        name: of the model that it is for, for messages.

    Raises:
        ModelError: its files are damaged.
    """
    try:
        tokenizer: CLIPTokenizer = transformers.CLIPTokenizer.from_pretrained(place.folder, local_files_only=True)
        return tokenizer
    except Exception as error:  # the tokenizers library raises bare Exceptions for unreadable files
        raise ModelError(
            f"the tokenizer of model '{name}' in {place.folder} cannot be loaded ({first_line(error)}); download it "
            "again"
        ) from None


def clip_tokens(tokenizer: CLIPTokenizer, text: str) -> list[int]:
    """The tokens of a text by CLIP's tokenizer, start and end included."""
    tokens: list[int] = tokenizer(text, verbose=False)["input_ids"]
    return tokens


def _of_tower(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of the text tower among those of both."""
    return {key: tensor for key, tensor in state.items() if key.startswith(TOWER)}
