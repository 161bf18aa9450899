"""What every backbone is: a frozen function from an image to tokens on a patch grid."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from zsad.registry import Part


class Tokens(NamedTuple):
    """The features of one image.

    Attributes:
        patch_tokens: float32 ``[layer, row, column, channel]``; patches only, no class or register tokens.
        cls_tokens: float32 ``[layer, channel]``; the class token, or the mean of the patch tokens where there is none.
    """

    patch_tokens: np.ndarray
    cls_tokens: np.ndarray


class Extractor:
    """A backbone that is loaded and ready; made by `Backbone.load`.

    Attributes:
        layers: names of the layers, in the order of ``patch_tokens``.
        channels: width of a token.
        cls_source: ``"class token"`` or ``"mean of patch tokens"``.
        model: id, revision and SHA-256 of the weights, for the provenance.
        device: where it runs.
    """

    layers: list[str]
    channels: int
    cls_source: str
    model: dict[str, Any]
    device: str

    @abstractmethod
    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the patch grid of an image of ``height x width`` pixels."""

    @abstractmethod
    def extract(self, image: np.ndarray) -> Tokens:
        """Tokens of one image, uint8 RGB ``[height, width, 3]``."""


class Backbone(Part):
    """A named source of patch features; its fields are its parameters (resolution, layers, ...).

    Class attributes:
        summary: one sentence for listings and the page.
        is_network: whether it profits from several threads or a GPU, and needs the memory of one.
    """

    summary: ClassVar[str]
    is_network: ClassVar[bool] = True

    @abstractmethod
    def load(self, device: str) -> Extractor:
        """Load the weights, if any, onto ``device``.

        Raises:
            ModelError: the model is absent, gated, or not of a kind that is known here.
        """
