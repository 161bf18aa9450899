"""Base class of the families of convolutional networks; their declaration and facts import no framework."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from zsad.device import number_format
from zsad.features.base import Backbone
from zsad.features.cnn.places import MapLayer, joined_name, margin_around
from zsad.features.constant import CONSTANT_WEIGHT
from zsad.features.geometry import nearest_multiples
from zsad.grids import GridRule, TokenLayout

PATCH = 8  # pixels; the stride of the grid
VALUE_BYTES = 4
MAPS_AT_ONCE = 3  # copies of the widest values: before and after a convolution, and the library's workspace
FIXED_BYTES = 50e6


class Cnn(Backbone):
    """Tokens of a convolutional network: chosen layers on a grid of 8 pixels, concatenated."""

    resolution: int = Field(256, ge=32, description="short side of the resized image, pixels; a multiple of 8")
    constant: float = Field(
        CONSTANT_WEIGHT,
        ge=0,
        description="weight of a constant channel, in standard deviations of a channel; without it flat regions are "
        "noise",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="format of convolutions; auto: float32 on a CPU, bfloat16 on a GPU that has it natively"
    )

    @model_validator(mode="after")
    def _covers_whole_patches(self) -> Self:
        if self.resolution % PATCH:
            lower, upper = nearest_multiples(self.resolution, PATCH)
            raise ValueError(
                f"resolution {self.resolution} is not a multiple of the stride {PATCH}; use {lower} or {upper}"
            )
        return self

    @abstractmethod
    def kept_layers(self) -> Sequence[MapLayer]:
        """The layers that are kept, in order.

        Raises:
            ConfigError: one does not exist or is named twice.
        """

    @abstractmethod
    def network_operations(self, height: int, width: int) -> float:
        """Multiplications and additions of the network for an input of ``height x width`` pixels."""

    @abstractmethod
    def widest_values(self, height: int, width: int) -> int:
        """Most values of the network's maps in memory at once for an input of ``height x width`` pixels."""

    @abstractmethod
    def multiple(self) -> int:
        """The largest computed stride, pixels."""

    def known_layout(self) -> TokenLayout:
        """The layout of its tokens: one layer with the channels of the kept layers and the constant."""
        layers = self.kept_layers()
        channels = sum(layer.channels for layer in layers) + 1
        return TokenLayout(GridRule(self.resolution // PATCH), (joined_name(layers),), channels)

    def operations(self, height: int, width: int) -> float:
        """Operations of the network for the resized image with its margin."""
        return self.network_operations(*self.input_size(height, width))

    def working_bytes(self, height: int, width: int) -> float:
        """Memory for an image besides the weights: the widest maps, the tokens, and the libraries' workspace."""
        rows, columns = self.known_layout().rule.size(height, width)
        values = self.widest_values(*self.input_size(height, width)) + rows * columns * self.known_layout().channels
        return FIXED_BYTES + VALUE_BYTES * (MAPS_AT_ONCE * values + 2 * 3 * height * width)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width in pixels of the network's input for an image: the resized image with its margin."""
        rows, columns = self.known_layout().rule.size(height, width)
        return self._with_margin(PATCH * rows), self._with_margin(PATCH * columns)

    def number_format(self, device: str) -> str:
        """The format of convolutions.

        A CPU computes in float32 by default, so that results do not depend on its support of bfloat16: a small network
        gains little.

        Raises:
            ConfigError: float16 on a CPU.
        """
        dtype = "float32" if self.dtype == "auto" and device == "cpu" else self.dtype
        return str(number_format(dtype, device)).removeprefix("torch.")

    def _with_margin(self, length: int) -> int:
        margin = margin_around(length, PATCH, self.kept_layers(), self.multiple())
        return margin.before + length + margin.after
