"""What is read of a model of images and texts; see `zsad.features.image_text.ImageText`, whose parameters these are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from zsad.grids import PATCHES, WINDOW

Path = Literal["plain", "values", "windows"]
Positions = Literal["bicubic", "bilinear", "antialiased"]


class ImageTextOptions(NamedTuple):
    """Where patch tokens come from, and what is done to them.

    Attributes:
        path: see `zsad.features.image_text.ImageText`, as all others.
        layers: blocks, counted from 0, or with negative numbers from the last.
        normed: whether the final LayerNorm is applied to patch tokens that are not projected.
        projected: whether patch tokens are mapped to the space of texts.
        first_value_block: of the path ``values``.
        windows: sides of the windows, patches.
        positions: how positions are brought to another grid; None for the model's own way.
        class_norm: whether the image's vector goes through the final LayerNorm before its projection.
        head: the file of dino.txt.
    """

    path: Path = "plain"
    layers: tuple[int, ...] = (-1,)
    normed: bool = True
    projected: bool = True
    first_value_block: int = -19
    windows: tuple[int, ...] = (2, 3)
    positions: Positions | None = None
    class_norm: bool = True
    head: str | None = None

    def token_channels(self, width: int, text_channels: int) -> int:
        """Width of a token in a file: that of the image's vector or of the patch tokens, whichever is larger.

        Args:
            width: of a token inside the network.
            text_channels: of the image's vector.
        """
        in_space = self.path == "values" or (self.path == "plain" and self.projected)
        return text_channels if in_space else max(width, text_channels)


def window_layers(windows: Sequence[int]) -> tuple[str, ...]:
    """The names of the layers of the path ``windows``, of which the last holds the patches themselves.

    Args:
        windows: their sides, patches.
    """
    return (*(f"{WINDOW}{side}" for side in windows), PATCHES)
