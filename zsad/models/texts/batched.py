"""Text towers that process batches of texts, each as its token numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from zsad.models.config_sense import computed_by
from zsad.models.texts.base import TextEncoder

BATCH = 64  # texts


class BatchedTexts(TextEncoder):
    """A text tower that processes batches of texts.

    Args:
        channels, longest, device, model, patch_part: see `TextEncoder`.
    """

    def __init__(
        self,
        *,
        channels: int,
        longest: int,
        device: str,
        model: dict[str, Any],
        patch_part: tuple[int, int] | None = None,
    ) -> None:
        self.name = model["id"]
        self.channels = channels
        self.patch_part = patch_part or (0, channels)
        self.longest = longest
        self.device = device
        self.model = model

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """See `TextEncoder.encode`."""
        with computed_by(self.name):
            tokens = [self._checked_tokens(text) for text in texts]
            batches = [self._embedded(tokens[start : start + BATCH]) for start in range(0, len(tokens), BATCH)]
        return np.concatenate([np.empty((0, self.channels), dtype=np.float32), *batches])

    def count_tokens(self, text: str) -> int:
        """See `TextEncoder.count_tokens`."""
        return len(self._tokens(text))

    def _checked_tokens(self, text: str) -> list[int]:
        self.check_length(text)
        return self._tokens(text)

    @abstractmethod
    def _tokens(self, text: str) -> list[int]:
        """The tokens of a text, including its start and end; not padded."""

    @abstractmethod
    def _embedded(self, tokens: list[list[int]]) -> np.ndarray:
        """Embeddings of a batch of texts, float32 ``[text, channel]``."""
