"""What every text tower is: a frozen function from sentences to vectors in the space of a model's images."""

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
    """Which model's text tower is wanted.

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
    """A text tower that is loaded and ready.

    Attributes:
        name: of the model, for messages.
        channels: width of an embedding; that of a whole image's.
        patch_part: the channels that patches are compared with, from the first to before the last; all but in dino.txt.
        longest: most tokens that a text may have, its start and end included.
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
        """Embeddings of texts, float32 ``[text, channel]``, of the length that the tower gives them.

        Raises:
            ConfigError: a text has more tokens than the model reads.
            ModelError: the tokenizer does not fit the model, or the model itself is damaged.
        """

    @abstractmethod
    def count_tokens(self, text: str) -> int:
        """How many tokens a text has, its start and end included."""

    def encode_learned(self, learned: LearnedTokens) -> np.ndarray:
        """Embeddings of AnomalyCLIP's two sentences, normal and anomalous, float32 ``[2, channel]``.

        Raises:
            ConfigError: the model takes no learned tokens, or they are of another width or depth.
        """
        raise ConfigError(
            f"model '{self.name}' takes no learned tokens, which are for a CLIP model; choose one, or other "
            "text_prompts"
        )

    def check_length(self, text: str) -> None:
        """Refuse a text that the model would not read to its end.

        Raises:
            ConfigError: it is too long.
        """
        if (count := self.count_tokens(text)) > self.longest:
            raise ConfigError(
                f"the text '{shown(text)}' has {count} tokens, but model '{self.name}' reads {self.longest}; shorten it"
            )


def shown(text: str) -> str:
    """A text as messages quote it."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."
