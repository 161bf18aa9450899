"""Options for reading a model of images and texts: parameters of `zsad.features.image_text.ImageText`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from zsad.grids import PATCHES, WINDOW
from zsad.models.positions import Positions

Path = Literal["plain", "values", "windows"]
ANOMALY_CLIP_BLOCKS, CLIP_SURGERY_BLOCKS = 19, 6  # number of last blocks with a second path in the authors' code


class ImageTextOptions(NamedTuple):
    """The source of patch tokens, and their processing.

    Attributes:
        path: see `zsad.features.image_text.ImageText`, like all others.
        layers: blocks, counted from 0, or with negative numbers from the last.
        normed: whether the final LayerNorm is applied to patch tokens that are not projected.
        projected: whether patch tokens are mapped into the space of texts.
        first_value_block: for path ``values``; None for the default by number of blocks, see `first_value_block`.
        windows: sides of the windows, patches.
        positions: interpolation of positions to another grid, see `zsad.features.network_options.NetworkOptions`.
        class_norm: whether the final LayerNorm is applied to the image's vector before its projection.
        head: the file of dino.txt.
    """

    path: Path = "plain"
    layers: tuple[int, ...] = (-1,)
    normed: bool = True
    projected: bool = True
    first_value_block: int | None = None
    windows: tuple[int, ...] = (2, 3)
    positions: Positions = "authors"
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


def first_value_block(asked: int | None, count: int) -> int:
    """The first block of the second path, counted from 0, or with a negative number from the last, as configured.

    Args:
        asked: by the configuration; None for AnomalyCLIP's choice in models at least as deep as its own, else for CLIP
            Surgery's, or all blocks of a model with fewer.
        count: of the model's blocks.
    """
    if asked is not None:
        return asked
    return -min(ANOMALY_CLIP_BLOCKS if count >= ANOMALY_CLIP_BLOCKS else CLIP_SURGERY_BLOCKS, count)


def window_layers(windows: Sequence[int]) -> tuple[str, ...]:
    """The names of the layers of the path ``windows``; the last has the patches themselves.

    Args:
        windows: their sides, patches.
    """
    return (*(f"{WINDOW}{side}" for side in windows), PATCHES)
