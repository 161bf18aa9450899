"""A backbone of images and texts that needs no weights: fixed projections of colours and of words into one space."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from zsad.features.base import Backbone, Execution, Extractor, Tokens
from zsad.grids import GridRule, TokenLayout
from zsad.models.texts.base import TextEncoder

CHANNELS = 8
WINDOWS = (2, 3)


def direction(text: str) -> np.ndarray:
    """A vector for a word or a name, float32 ``[channel]``."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    return np.random.default_rng(seed).normal(size=CHANNELS).astype(np.float32)


class WordedTexts(TextEncoder):
    """A sentence is the sum of its words."""

    channels = CHANNELS
    patch_part = (0, CHANNELS)
    longest = 20
    device = "cpu"

    def __init__(self, model: str) -> None:
        self.name, self.model = model, {"id": model, "revision": None, "weights_sha256": None}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        for text in texts:
            self.check_length(text)
        return np.stack([sum(direction(self.name + word) for word in text.split()) for text in texts])

    def count_tokens(self, text: str) -> int:
        return len(text.split()) + 2


class WordedExtractor(Extractor):
    """Colours of parts of the image, projected; of windows their means."""

    cls_source = "class token"
    device = "cpu"
    channels = CHANNELS

    def __init__(self, model: str, cells: int, path: str) -> None:
        self.grid_size, self._path = GridRule(cells).size, path
        self._colours = np.stack([direction(f"{model}/{part}") for part in range(4)])
        self.model = {"id": model, "revision": None, "weights_sha256": None}
        self.layers = [*(f"window{side}" for side in WINDOWS), "patches"] if path == "windows" else ["last"]

    @staticmethod
    def prepare(image: np.ndarray) -> np.ndarray:
        return image

    def begin(self, prepared: Sequence[np.ndarray]) -> Callable[[], Tokens]:
        each = [self._tokens(image) for image in prepared]
        return lambda: Tokens(*(np.stack(part) for part in zip(*each, strict=True)))

    def _tokens(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = self.grid_size(*image.shape[:2])
        bands = [np.array_split(band, columns, axis=1) for band in np.array_split(image, rows)]
        patches = np.array([[self._vector(part) for part in band] for band in bands])
        layers = [patches]
        if self._path == "windows":
            layers = [*(self._windows(patches, side) for side in WINDOWS), patches]
        return np.stack(layers), np.stack([self._vector(image)] * len(layers))

    def _vector(self, part: np.ndarray) -> np.ndarray:
        colours = np.array([*(part.mean(axis=(0, 1)) / 255 - 0.5), part.std() / 64], np.float32)
        vector: np.ndarray = colours @ self._colours
        return vector

    def _windows(self, patches: np.ndarray, side: int) -> np.ndarray:
        windows = np.zeros_like(patches)
        rows, columns = patches.shape[:2]
        for row in range(rows - side + 1):
            for column in range(columns - side + 1):
                windows[row, column] = patches[row : row + side, column : column + side].mean(axis=(0, 1))
        return windows


class Worded(Backbone):
    """A model that sees colours and reads words."""

    summary: ClassVar[str] = "Colours and words."
    is_network: ClassVar[bool] = False
    has_texts: ClassVar[bool] = True

    words: str = Field("toy", description="the model: another one has other vectors; may be a file")
    cells: int = Field(6, ge=3, description="patches along the shorter side")
    path: Literal["plain", "windows"] = Field("plain", description="whether windows are looked at too")

    def known_layout(self) -> TokenLayout:
        layers = ("window2", "window3", "patches") if self.path == "windows" else ("last",)
        return TokenLayout(GridRule(self.cells), layers, CHANNELS)

    def local_files(self) -> list[str]:
        return [self.words] if Path(self.words).is_file() else []

    def text_parameters(self) -> dict[str, Any]:
        return {"words": self.words}

    def load_texts(self, execution: Execution) -> TextEncoder:
        return WordedTexts(self.words)

    def load(self, execution: Execution) -> Extractor:
        return WordedExtractor(self.words, self.cells, self.path)
