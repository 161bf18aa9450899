"""Text towers with padded texts of one length: SigLIP's and TIPSv2's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
import tokenizers

from zsad.errors import ModelError, first_line
from zsad.lazy import torch
from zsad.models.checkpoint import FoundCheckpoint
from zsad.models.config_files import silence_libraries
from zsad.models.config_sense import sense_of_config
from zsad.models.hub import check_weights
from zsad.models.texts.base import TextModel
from zsad.models.texts.batched import BatchedTexts
from zsad.models.texts.sentence_pieces import read_sentence_pieces, tokenizer_of
from zsad.models.texts.tokenizers import Tokenizer, locate_tokenizer
from zsad.models.texts.towers import check_no_head, loaded_tower

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

SENTENCE_PIECES = ".model"  # ends the names of SentencePiece's own files


class Words(NamedTuple):
    """The tokenisation of a kind of model.

    Attributes:
        tokenizer: splits a text into tokens.
        prepare: preprocesses the text.
        end: the token after the last; None for none.
        filling: the padding token.
    """

    tokenizer: tokenizers.Tokenizer
    prepare: Callable[[str], str]
    end: int | None
    filling: int

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text, including its end; not padded."""
        tokens: list[int] = self.tokenizer.encode(self.prepare(text), add_special_tokens=False).ids
        return tokens if self.end is None else [*tokens, self.end]


class PaddedTexts(BatchedTexts):
    """A text tower with padded texts of one length.

    Attributes:
        kind: name of this kind of models in messages.
        tokenizer_files: one is enough; the first existing one is read.

    Args:
        network: in evaluation mode, on the device.
        words: its tokenisation.
        channels: width of an embedding.
        longest: length that every text is padded to, tokens.
        device, model: see `TextEncoder`.
    """

    kind: ClassVar[str]
    tokenizer_files: ClassVar[Sequence[str]]

    def __init__(
        self, network: PreTrainedModel, words: Words, *, channels: int, longest: int, device: str, model: dict[str, Any]
    ) -> None:
        super().__init__(channels=channels, longest=longest, device=device, model=model)
        self._network: Any = network
        self._words = words

    @classmethod
    def load(cls, wanted: TextModel, found: FoundCheckpoint, device: str) -> Self:
        """Load the text tower of a checkpoint, and its tokenizer; the image tower is not loaded.

        Args:
            wanted: the model and its tokenizer; ``head`` is not allowed.
            found: its checkpoint.
            device: of torch, such as ``"cpu"`` or ``"cuda"``.

        Raises:
            ConfigError: there is a ``head``.
            ModelError: the checkpoint has no text tower or no tokenizer, or is damaged.
        """
        name = found.name
        check_no_head(wanted, cls.kind)
        silence_libraries()
        with sense_of_config(name, found.source):
            both = cls._read_config(found)
            config: PretrainedConfig = getattr(both, "text_config", both)  # the tower may have been saved alone
        place = locate_tokenizer(wanted, found, [(file,) for file in cls.tokenizer_files])
        words = cls._read_words(place, config, name)
        digests = check_weights(found.weight_files, wanted.sha256, name)
        network = loaded_tower(found, cls._tower(config), config, device)
        model = {"id": name, "revision": found.commit, "weights_sha256": digests, **place.provenance}
        return cls(
            network,
            words,
            channels=cls._channels(config),
            longest=config.max_position_embeddings,
            device=device,
            model=model,
        )

    @staticmethod
    def _read_config(found: FoundCheckpoint) -> PretrainedConfig:
        """The configuration of both towers, or of the text tower alone."""
        return found.config()

    @staticmethod
    @abstractmethod
    def _tower(config: PretrainedConfig) -> type[PreTrainedModel]:
        """The tower's class in ``transformers``."""

    @staticmethod
    @abstractmethod
    def _channels(config: PretrainedConfig) -> int:
        """Width of an embedding."""

    @classmethod
    @abstractmethod
    def _read_words(cls, place: Tokenizer, config: PretrainedConfig, name: str) -> Words:
        """How the model reads a text.

        Args:
            place: where its tokenizer lies.
            config: of the text tower.
            name: of the model, for messages.

        Raises:
            ModelError: the tokenizer is damaged, or not that of the text tower.
        """

    @abstractmethod
    def _outputs(self, tokens: Tensor, is_text: Tensor) -> Tensor:
        """Embeddings ``[text, channel]``.

        Args:
            tokens: int64 ``[text, token]``, all filled up.
            is_text: bool, of the same shape: false for what fills up.
        """

    def _tokens(self, text: str) -> list[int]:
        return self._words.tokens(text)

    def _embedded(self, tokens: list[list[int]]) -> np.ndarray:
        filled = torch.full((len(tokens), self.longest), self._words.filling)
        is_text = torch.zeros((len(tokens), self.longest), dtype=torch.bool)
        for place, own in enumerate(tokens):
            filled[place, : len(own)] = torch.tensor(own, dtype=torch.long)
            is_text[place, : len(own)] = True
        with torch.inference_mode():
            embeddings: np.ndarray = self._outputs(filled.to(self.device), is_text.to(self.device)).cpu().numpy()
        return embeddings


def loaded_tokenizer(place: Tokenizer, files: Sequence[str], name: str) -> tokenizers.Tokenizer:
    """The tokenizer in a folder, from the first of some files that is there.

    Args:
        place: its folder, which holds one of them.
        files: in the form of the ``tokenizers`` library (``.json``), or of SentencePiece (``.model``).
        name: of the model, for messages.

    Raises:
        ModelError: it is damaged.
    """
    path = next(path for file in files if (path := place.folder / file).is_file())
    try:
        if path.suffix == SENTENCE_PIECES:
            return tokenizer_of(read_sentence_pieces(path))
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
        tokenizer.no_padding()
        tokenizer.no_truncation()  # a text that is too long is refused, not cut
        return tokenizer
    except Exception as error:  # the library raises bare Exceptions for unreadable files
        raise ModelError(
            f"the tokenizer of model '{name}', {path}, cannot be loaded ({first_line(error)}); download it again"
        ) from None
