"""The embedded backbone: a hand-crafted filter bank with the interface of a foundation model.

It has no weights and needs no download, and gives the same features on every machine up to rounding. So the pipeline
runs anywhere, and the benefit of a foundation model can be measured against a baseline.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from zsad.features.base import Backbone, Extractor, Tokens
from zsad.features.embedded_statistics import STATISTICS
from zsad.features.execution import Execution
from zsad.features.filter_bank import channel_names, filter_responses, kind
from zsad.features.geometry import nearest_multiples, patch_grid, resized_to_grid
from zsad.grids import GridRule, TokenLayout

CLIP = 8.0  # standard deviations
CONSTANT_WEIGHT = 0.7
FILTER_BYTES = 60  # per pixel of the resized image


LAYER = "filters"


class Embedded(Backbone):
    """Filter responses on a grid, standardised by fixed statistics and normalised to unit length.

    Without the constant channel, a patch with only typical responses would be a vector near zero, and its direction,
    which cosine similarity compares, would be noise.
    """

    summary: ClassVar[str] = "Hand-crafted filter bank: no weights, no download; the baseline."
    is_network: ClassVar[bool] = False

    resolution: int = Field(256, ge=32, description="short side of the resized image, pixels; a multiple of stride")
    stride: Literal[4, 8] = Field(8, description="side of a patch of the resized image, pixels")

    @model_validator(mode="after")
    def _covers_whole_patches(self) -> Self:
        if self.resolution % self.stride:
            lower, upper = nearest_multiples(self.resolution, self.stride)
            raise ValueError(
                f"resolution {self.resolution} is not a multiple of the stride {self.stride}; use {lower} or {upper}"
            )
        return self

    def known_layout(self) -> TokenLayout:
        """The layout of its tokens."""
        rule = GridRule(self.resolution // self.stride)
        return TokenLayout(rule, (LAYER,), len(channel_names()) + 1)

    def working_bytes(self, height: int, width: int) -> float:
        """The filter responses of every pixel of the resized image, some at a time."""
        rows, columns = self.known_layout().rule.size(height, width)
        return FILTER_BYTES * rows * columns * self.stride**2

    def load(self, execution: Execution) -> EmbeddedExtractor:
        """Return the filter bank; it always runs on the CPU, in one thread, and ignores ``execution``."""
        return EmbeddedExtractor(self)


class EmbeddedExtractor(Extractor):
    """The filter bank at one resolution and stride."""

    cls_source = "mean of patch tokens"
    device = "cpu"

    def __init__(self, backbone: Embedded) -> None:
        self.layers = [LAYER]
        self._resolution, self._stride = backbone.resolution, backbone.stride
        self.prepare = partial(resized_to_grid, resolution=backbone.resolution, patch=backbone.stride)
        statistics = [STATISTICS[kind(channel)] for channel in channel_names()]
        self._mean, self._deviation = np.array(statistics, dtype=np.float32).T
        self.channels = len(statistics) + 1
        self.model = {
            "id": "embedded",
            "revision": None,
            "weights_sha256": None,
            "patch_size": self._stride,
            "prefix_tokens": 0,
        }

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the patch grid of an image of ``height x width`` pixels."""
        return patch_grid(height, width, self._resolution, self._stride)

    def begin(self, prepared: Sequence[np.ndarray]) -> Callable[[], Tokens]:
        """Compute the tokens of prepared images of one size; each patch token has unit length."""
        each = [self._tokens(image) for image in prepared]
        tokens = Tokens(*(np.stack(arrays) for arrays in zip(*each, strict=True)))
        return lambda: tokens

    def _tokens(self, resized: np.ndarray) -> Tokens:
        responses = filter_responses(resized, self._stride)
        stacked = np.stack(list(responses.values()), axis=-1)
        standardised = np.clip((stacked - self._mean) / self._deviation, -CLIP, CLIP)
        constant = np.full((*standardised.shape[:2], 1), CONSTANT_WEIGHT * math.sqrt(stacked.shape[-1]), np.float32)
        tokens = np.concatenate([standardised, constant], axis=-1)
        tokens /= np.linalg.norm(tokens, axis=-1, keepdims=True)
        return Tokens(patch_tokens=tokens[None], cls_tokens=tokens.mean(axis=(0, 1))[None])
