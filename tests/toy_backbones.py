"""Backbones that nobody would build, each as awkward as the interface allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from zsad.errors import ModelError
from zsad.features.base import Backbone, Execution, Extractor, ListedModel, Tokens
from zsad.grids import GridRule, TokenLayout


class StripExtractor(Extractor):
    """Mean brightness of parts of the image; every further layer is its power.

    Args:
        grid_size: of an image.
        layers: how many.
    """

    channels = 1
    cls_source = "mean of patch tokens"
    device = "cpu"
    model: ClassVar[dict[str, str]] = {"id": "toy"}

    def __init__(self, grid_size: Callable[[int, int], tuple[int, int]], layers: int = 1) -> None:
        self.grid_size = grid_size
        self.layers = [f"power {index + 1}" for index in range(layers)]

    @staticmethod
    def prepare(image: np.ndarray) -> np.ndarray:
        return image

    def begin(self, prepared: Sequence[np.ndarray]) -> Callable[[], Tokens]:
        each = np.stack([self._tokens(image) for image in prepared])
        return lambda: Tokens(each, each.mean(axis=(2, 3)))

    def _tokens(self, image: np.ndarray) -> np.ndarray:
        rows, columns = self.grid_size(*image.shape[:2])
        bands = [np.array_split(band, columns, axis=1) for band in np.array_split(image, rows)]
        means = np.array([[part.mean() / 255 - 0.5 for part in band] for band in bands], np.float32)
        return np.stack([means ** (index + 1) for index in range(len(self.layers))])[..., None]


class Strip(Backbone):
    """A network that says nothing of itself: a grid that is wide for every image, several layers, one channel."""

    summary: ClassVar[str] = "Wide."

    depth: int = Field(2, ge=1, description="layers")

    def load(self, execution: Execution) -> Extractor:
        return StripExtractor(lambda height, width: (4, 9), self.depth)


class Measured(Backbone):
    """No network, and it cannot say its layout."""

    summary: ClassVar[str] = "Measured."
    is_network: ClassVar[bool] = False

    def load(self, execution: Execution) -> Extractor:
        return StripExtractor(lambda height, width: (5, 3))


class Table(Backbone):
    """A network with a required parameter of its own name, a file that jobs follow, and names."""

    summary: ClassVar[str] = "By a table."

    table: str = Field(description="file of the sizes")
    cells: int = Field(4, ge=1, description="patches along each side")

    @classmethod
    def params_of(cls, reference: str) -> dict[str, Any] | None:
        return {"table": "toy.txt", "cells": 6} if reference in ("toy-table", "toy.txt") else None

    @classmethod
    def models(cls) -> Sequence[ListedModel]:
        return [ListedModel("toy-table", licence="MIT")]

    @classmethod
    def has(cls, name: str) -> bool:
        return Path("toy.txt").exists()

    def known_layout(self) -> TokenLayout:
        return TokenLayout(GridRule(self._sides()), ("power 1",), 1)

    def operations(self, height: int, width: int) -> float:
        return 1e9 * self._sides()

    def weights_megabytes(self) -> int:
        return Path(self.table).stat().st_size

    def working_bytes(self, height: int, width: int) -> float:
        return float(self._sides())

    def local_files(self) -> list[str]:
        return [self.table]

    def load(self, execution: Execution) -> Extractor:
        return StripExtractor(GridRule(self._sides()).size)

    def _sides(self) -> int:
        """Raises ModelError for any other content."""
        try:
            return self.cells * int(Path(self.table).read_text(encoding="utf-8"))
        except ValueError:
            raise ModelError(f"model '{self.table}' holds no number; write one") from None


class Spoilt(Backbone):
    """A backbone whose every answer is that its model cannot be used."""

    summary: ClassVar[str] = "Spoilt."
    is_network: ClassVar[bool] = False

    def weights_megabytes(self) -> int:
        raise ModelError("the toy is spoilt; take another")

    def known_layout(self) -> TokenLayout:
        raise ModelError("the toy is spoilt; take another")

    def operations(self, height: int, width: int) -> float:
        raise ModelError("the toy is spoilt; take another")

    def working_bytes(self, height: int, width: int) -> float:
        raise ModelError("the toy is spoilt; take another")

    def load(self, execution: Execution) -> Extractor:
        raise ModelError("the toy is spoilt; take another")


class SpoiltNetwork(Spoilt):
    """The same as a network."""

    is_network: ClassVar[bool] = True
