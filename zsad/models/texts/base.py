"""Interface of text towers: frozen functions from sentences to vectors in the space of a model's images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zsad.errors import ConfigError

if TYPE_CHECKING:
    from zsad.models.texts.learned_tokens import LearnedTokens

SHOWN = 60  # characters of a text in a message


class TextModel(NamedTuple):
    """The requested text tower.

    Attributes:
        model, revision, sha256: as of a backbone, see `zsad.features.network_options.NetworkOptions`.
        head, tokenizer: see `zsad.features.image_text.ImageText`.
    """

    model: str
    revision: str | None = None
    sha256: str | None = None
    head: str | None = None
    tokenizer: str | None = None


class TextEncoder(ABC):
    """A loaded text tower.

    Attributes:
        name: of the model, for messages.
        channels: width of an embedding; that of a whole image's.
        patch_part: range of the channels that patches are compared with (first, last exclusive); all except in
            dino.txt.
        longest: most tokens of a text, including its start and end.
        device: where it runs.
        model: id, revision and SHA-256 of the weights, for the provenance.
    """

    name: str
    channels: int
    patch_part: tuple[int, int]
    longest: int
    device: str
    model: dict[str, Any]

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of texts, float32 ``[text, channel]``, not normalised.

        Raises:
            ConfigError: a text has more tokens than the model reads.
            ModelError: the tokenizer does not fit the model, or the model itself is damaged.
        """

    @abstractmethod
    def count_tokens(self, text: str) -> int:
        """Number of tokens of a text, including its start and end."""

    def encode_learned(self, learned: LearnedTokens) -> np.ndarray:
        """Embeddings of AnomalyCLIP's two sentences, normal and anomalous, float32 ``[2, channel]``.

        Raises:
            ConfigError: the model does not support learned tokens, or they have another width or depth.
        """
        raise ConfigError(
            f"model '{self.name}' does not support learned tokens, which are for a CLIP model; choose one, or other "
            "text_prompts"
        )

    def check_length(self, text: str) -> None:
        """Reject a text that the model would truncate.

        Raises:
            ConfigError: it is too long.
        """
        if (count := self.count_tokens(text)) > self.longest:
            raise ConfigError(
                f"the text '{shown(text)}' has {count} tokens, but model '{self.name}' reads {self.longest}; shorten it"
            )


def shown(text: str) -> str:
    """Shorten a text for messages."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."
