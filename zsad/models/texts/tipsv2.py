"""TIPSv2's text tower (Cao et al., CVPR 2026)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import transformers

from zsad.errors import ModelError
from zsad.models.checkpoint import FoundCheckpoint
from zsad.models.config_files import silence_libraries
from zsad.models.config_sense import sense_of_config
from zsad.models.families.tipsv2_config import tipsv2_config
from zsad.models.hub import check_weights
from zsad.models.texts.base import TextModel
from zsad.models.texts.padded import PaddedTexts, Words, check_no_head, loaded_tokenizer, loaded_tower
from zsad.models.texts.tokenizers import Tokenizer, locate_tokenizer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig

TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json")  # the authors' own, and what transformers makes of it


class Tipsv2Texts(PaddedTexts):
    """TIPSv2's text tower; made by `load_texts`. The embedding is the mean over the tokens of the text."""

    def _outputs(self, tokens: Tensor, is_text: Tensor) -> Tensor:
        embeddings: Tensor = self._network(input_ids=tokens, attention_mask=is_text).pooler_output
        return embeddings


def load_texts(wanted: TextModel, found: FoundCheckpoint, device: str) -> Tipsv2Texts:
    """Load the text tower of a TIPSv2 checkpoint, and its tokenizer; the image tower is left on the disk.

    Texts are in small letters, and nothing begins or ends them, as by the authors.

    Args:
        wanted: which model, with which tokenizer; it takes no ``head``.
        found: its checkpoint.
        device: of torch, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: there is a ``head``.
        ModelError: the checkpoint has no text tower or no tokenizer, or is damaged.
    """
    name = found.name
    check_no_head(wanted, "TIPSv2")
    silence_libraries()
    with sense_of_config(name, found.source):
        config: PretrainedConfig = tipsv2_config(found.config())
        config = getattr(config, "text_config", config)
    place = locate_tokenizer(wanted, found, [(file,) for file in TOKENIZER_FILES])
    words = _words(place, config, name)
    digests = check_weights(found.weight_files, wanted.sha256, name)
    network = loaded_tower(found, transformers.Tipsv2TextModel, config, device)
    model = {"id": name, "revision": found.commit, "weights_sha256": digests, **place.provenance}
    return Tipsv2Texts(
        network,
        words,
        channels=config.hidden_size,
        longest=config.max_position_embeddings,
        device=device,
        model=model,
    )


def _words(place: Tokenizer, config: PretrainedConfig, name: str) -> Words:
    tokenizer = loaded_tokenizer(place, TOKENIZER_FILES, name)
    count = tokenizer.get_vocab_size()
    if count > config.vocab_size:
        raise ModelError(
            f"the tokenizer of model '{name}' is not that of its text tower ({count} tokens for {config.vocab_size}); "
            f"{place.remedy}"
        )
    return Words(tokenizer, _plain, None, config.pad_token_id or 0)


def _plain(text: str) -> str:
    """A text in small letters, and with single blanks between words."""
    return " ".join(text.lower().split())
