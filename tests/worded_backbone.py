"""A backbone of images and texts that anybody can follow: brightness of patches, and words that tell of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from zsad.features.base import Backbone, Extractor, Tokens
from zsad.features.execution import Execution
from zsad.models.texts.base import TextEncoder

GRID = (3, 4)
BRIGHT, DARK = ("damaged", "with"), 1.0  # words of a bright part; all others are of a dark one
MODEL = {"id": "worded", "revision": None, "weights_sha256": {"weights": 64 * "a"}}


class WordedTexts(TextEncoder):
    """Two channels, dark and bright; a sentence is as long as it has words."""

    def __init__(self, longest: int) -> None:
        self.name, self.channels, self.patch_part = "worded", 2, (0, 2)
        self.longest, self.device, self.model = longest, "cpu", MODEL

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        bright = [any(word in text.split() for word in BRIGHT) for text in texts]
        lengths = [len(text.split()) for text in texts]
        return np.array([[n * (not b), n * b] for n, b in zip(lengths, bright, strict=True)], np.float32)

    def count_tokens(self, text: str) -> int:
        return len(text.split()) + 2


class WordedExtractor(Extractor):
    """Patches whose two channels are how dark and how bright they are; the image's vector is their mean.

    Args:
        windows: whether there are windows of 2 x 2 patches beside them, each the mean of its patches.
    """

    channels, cls_source, device, model = 2, "class token", "cpu", MODEL

    def __init__(self, windows: bool) -> None:
        self.layers = ["window2", "patches"] if windows else ["last"]

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        return GRID

    @staticmethod
    def prepare(image: np.ndarray) -> np.ndarray:
        return image

    def begin(self, prepared: Sequence[np.ndarray]) -> Callable[[], Tokens]:
        patches = np.stack([self._patches(image) for image in prepared])
        layers = [patches] if len(self.layers) == 1 else [_windows(patches), patches]
        vectors = np.stack([patches.mean(axis=(1, 2))] * len(layers), axis=1)
        return lambda: Tokens(np.stack(layers, axis=1), vectors)

    @staticmethod
    def _patches(image: np.ndarray) -> np.ndarray:
        rows, columns = GRID
        bands = [np.array_split(band, columns, axis=1) for band in np.array_split(image, rows)]
        bright = np.array([[part.mean() / 255 for part in band] for band in bands], np.float32)
        return np.stack([1 - bright, bright], axis=-1)


def _windows(patches: np.ndarray) -> np.ndarray:
    """The mean of each 2 x 2 patches at the place of the first, of ``[image, row, column, channel]``; else zero."""
    windows = np.zeros_like(patches)
    corners = [patches[:, row : row - 1 or None, column : column - 1 or None] for row in (0, 1) for column in (0, 1)]
    windows[:, :-1, :-1] = np.mean(corners, axis=0)
    return windows


class Worded(Backbone):
    """What is bright is damaged."""

    summary: ClassVar[str] = "Words of light."
    has_texts: ClassVar[bool] = True

    longest: int = Field(77, description="tokens")
    windows: bool = Field(False, description="whether it gives windows too")

    def load(self, execution: Execution) -> Extractor:
        return WordedExtractor(self.windows)

    def load_texts(self, execution: Execution) -> TextEncoder:
        return WordedTexts(self.longest)

    def text_parameters(self) -> dict[str, Any]:
        return {"longest": self.longest}
