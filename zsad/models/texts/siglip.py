"""SigLIP's text tower (Zhai et al., ICCV 2023), and SigLIP 2's (Tschannen et al., 2025)."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import transformers

from zsad.errors import ModelError
from zsad.models.checkpoint import FoundCheckpoint
from zsad.models.config_files import silence_libraries
from zsad.models.config_sense import sense_of_config
from zsad.models.hub import check_weights
from zsad.models.texts.base import TextModel
from zsad.models.texts.padded import PaddedTexts, Words, check_no_head, loaded_tokenizer, loaded_tower
from zsad.models.texts.tokenizers import Tokenizer, locate_tokenizer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig

TOKENIZER_FILES = ("spiece.model", "tokenizer.json")  # either is enough: SigLIP's own, and SigLIP 2's
# What ends a text and what fills it up, of SigLIP 2 (Gemma's tokenizer) and of SigLIP.
ENDS_OF_2, ENDS = ("<eos>", "<pad>"), ("</s>", "</s>")
PUNCTUATION = str.maketrans("", "", string.punctuation)


class SiglipTexts(PaddedTexts):
    """SigLIP's text tower; made by `load_texts`.

    The embedding is made of the last place of the filled-up text, which attends to all others, those that only fill up
    included: it was trained like that.
    """

    def _outputs(self, tokens: Tensor, is_text: Tensor) -> Tensor:
        embeddings: Tensor = self._network(input_ids=tokens).pooler_output
        return embeddings


def load_texts(wanted: TextModel, found: FoundCheckpoint, device: str) -> SiglipTexts:
    """Load the text tower of a SigLIP checkpoint, and its tokenizer; the image tower is left on the disk.

    Texts are in small letters, as in training, whatever the tokenizer's own file does (``transformers`` leaves capitals
    to the checkpoints of SigLIP 2 at fixed resolutions); SigLIP's are also without punctuation.

    Args:
        wanted: which model, with which tokenizer; it takes no ``head``.
        found: its checkpoint.
        device: of torch, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: there is a ``head``.
        ModelError: the checkpoint has no text tower or no tokenizer, or is damaged.
    """
    name = found.name
    check_no_head(wanted, "SigLIP")
    silence_libraries()
    with sense_of_config(name, found.source):
        config: PretrainedConfig = found.config()
        config = getattr(config, "text_config", config)
    place = locate_tokenizer(wanted, found, [(file,) for file in TOKENIZER_FILES])
    words = _words(place, config, name)
    digests = check_weights(found.weight_files, wanted.sha256, name)
    is_of_2 = isinstance(config, transformers.Siglip2TextConfig)
    tower = transformers.Siglip2TextModel if is_of_2 else transformers.SiglipTextModel
    network = loaded_tower(found, tower, config, device)
    model = {"id": name, "revision": found.commit, "weights_sha256": digests, **place.provenance}
    return SiglipTexts(
        network,
        words,
        channels=config.projection_size,
        longest=config.max_position_embeddings,
        device=device,
        model=model,
    )


def _words(place: Tokenizer, config: PretrainedConfig, name: str) -> Words:
    tokenizer = loaded_tokenizer(place, TOKENIZER_FILES, name)
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


def _plain(text: str) -> str:
    """A text in small letters, without punctuation, and with single blanks between words."""
    return " ".join(text.lower().translate(PUNCTUATION).split())
