"""SigLIP's text tower (Zhai et al., ICCV 2023), and SigLIP 2's (Tschannen et al., 2025)."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import transformers

from zsad.errors import ModelError
from zsad.models.texts.padded import PaddedTexts, Words, loaded_tokenizer
from zsad.models.texts.tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

# End and padding tokens of SigLIP 2 (Gemma's tokenizer) and of SigLIP.
ENDS_OF_2, ENDS = ("<eos>", "<pad>"), ("</s>", "</s>")
PUNCTUATION = str.maketrans("", "", string.punctuation)


class SiglipTexts(PaddedTexts):
    """SigLIP's text tower.

    Texts are lower-cased, as in training, independent of the tokenizer's own file (``transformers`` keeps capitals for
    the checkpoints of SigLIP 2 at fixed resolutions); SigLIP's are also without punctuation. The embedding is computed
    from the last position of the padded text, which attends to all others including the padding, as in training.
    """

    kind: ClassVar[str] = "SigLIP"
    tokenizer_files: ClassVar[Sequence[str]] = ("spiece.model", "tokenizer.json")  # SigLIP's own, and SigLIP 2's

    @staticmethod
    def _tower(config: PretrainedConfig) -> type[PreTrainedModel]:
        is_of_2 = isinstance(config, transformers.Siglip2TextConfig)
        tower: type[PreTrainedModel] = transformers.Siglip2TextModel if is_of_2 else transformers.SiglipTextModel
        return tower

    @staticmethod
    def _channels(config: PretrainedConfig) -> int:
        channels: int = config.projection_size
        return channels

    @classmethod
    def _read_words(cls, place: Tokenizer, config: PretrainedConfig, name: str) -> Words:
        tokenizer = loaded_tokenizer(place, cls.tokenizer_files, name)
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        ends = ENDS_OF_2 if all(token in vocabulary for token in ENDS_OF_2) else ENDS
        if max(vocabulary.values(), default=0) >= config.vocab_size or any(token not in vocabulary for token in ends):
            raise ModelError(
                f"the tokenizer of model '{name}' is not that of its text tower ({len(vocabulary)} tokens for "
                f"{config.vocab_size}, with '{ends[0]}' and '{ends[1]}' among them for {ENDS_OF_2} or {ENDS}); "
                f"{place.remedy}"
            )
        end, filling = (vocabulary[token] for token in ends)
        return Words(tokenizer, str.lower if ends is ENDS_OF_2 else _plain, end, filling)

    def _outputs(self, tokens: Tensor, is_text: Tensor) -> Tensor:
        embeddings: Tensor = self._network(input_ids=tokens).pooler_output
        return embeddings


def _plain(text: str) -> str:
    """A lower-case text without punctuation, and with single blanks between words."""
    return " ".join(text.lower().translate(PUNCTUATION).split())
