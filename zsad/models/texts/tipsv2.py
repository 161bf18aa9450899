"""TIPSv2's text tower (Cao et al., CVPR 2026)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import transformers

from zsad.errors import ModelError
from zsad.models.checkpoint import FoundCheckpoint
from zsad.models.families.tipsv2_config import tipsv2_config
from zsad.models.texts.padded import PaddedTexts, Words, loaded_tokenizer
from zsad.models.texts.tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel


class Tipsv2Texts(PaddedTexts):
    """TIPSv2's text tower. The embedding is the mean over the tokens of the text.

    Texts are lower-cased, without start and end tokens, as by the authors.
    """

    kind: ClassVar[str] = "TIPSv2"
    tokenizer_files: ClassVar[Sequence[str]] = ("tokenizer.model", "tokenizer.json")  # the authors', and transformers'

    @staticmethod
    def _read_config(found: FoundCheckpoint) -> PretrainedConfig:
        return tipsv2_config(found.config())

    @staticmethod
    def _tower(config: PretrainedConfig) -> type[PreTrainedModel]:
        tower: type[PreTrainedModel] = transformers.Tipsv2TextModel
        return tower

    @staticmethod
    def _channels(config: PretrainedConfig) -> int:
        channels: int = config.hidden_size
        return channels

    @classmethod
    def _read_words(cls, place: Tokenizer, config: PretrainedConfig, name: str) -> Words:
        tokenizer = loaded_tokenizer(place, cls.tokenizer_files, name)
        count = tokenizer.get_vocab_size()
        if count > config.vocab_size:
            raise ModelError(
                f"the tokenizer of model '{name}' is not that of its text tower ({count} tokens for "
                f"{config.vocab_size}); {place.remedy}"
            )
        return Words(tokenizer, _plain, None, config.pad_token_id or 0)

    def _outputs(self, tokens: Tensor, is_text: Tensor) -> Tensor:
        embeddings: Tensor = self._network(input_ids=tokens, attention_mask=is_text).pooler_output
        return embeddings


def _plain(text: str) -> str:
    """A lower-case text with single blanks between words."""
    return " ".join(text.lower().split())
