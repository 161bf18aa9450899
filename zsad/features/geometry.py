"""The layout of an image on a patch grid, equal for all backbones.

Nothing is cropped. There are three ways to fit an image; the first two keep the aspect ratio:

``short_side``
    The short side becomes ``resolution`` pixels and the long side the nearest multiple of the patch.
``pad``
    The long side becomes ``resolution`` pixels and the short side the nearest multiple of the patch; the network's
    input is a square with the image in its middle, and the tokens of the border are dropped.
``square``
    Both sides become ``resolution`` pixels, as in the code of most papers on CLIP; the aspect ratio of other images
    changes.

Either way the grid covers the image edge to edge, so that patch ``(r, c)`` of ``R x C`` is centred at
``((r + 1/2) height / R, (c + 1/2) width / C)`` of the original image, as `zsad.maps` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from zsad.errors import ConfigError
from zsad.grids import Fit, fitted_grid
from zsad.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

SIDES = ("resolution", "tile", "overlap")  # parameters that must be multiples of the patch size


def patch_grid(height: int, width: int, resolution: int, patch: int, fit: Fit = "short_side") -> tuple[int, int]:
    """Rows and columns of the patch grid of an image.

    Args:
        height, width: the image, pixels.
        resolution: the side that ``fit`` names after resizing, pixels; a multiple of ``patch``.
        patch: side of a patch after resizing, pixels.
    """
    return fitted_grid(height, width, resolution // patch, fit)


def resized_to_grid(image: np.ndarray, resolution: int, patch: int) -> np.ndarray:
    """Resize an image so that its patch grid covers it exactly: bicubic, antialiased when shrinking.

    Args:
        image: uint8 RGB ``[height, width, 3]``.

    Returns:
        uint8 ``[rows * patch, columns * patch, 3]`` for the ``rows, columns`` of `patch_grid`.
    """
    height, width = image.shape[:2]
    rows, columns = patch_grid(height, width, resolution, patch)
    # Pillow widens the kernel on each axis that shrinks; OpenCV's area filter needs both axes to shrink.
    return np.asarray(Image.fromarray(image).resize((columns * patch, rows * patch), Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class Preparation:
    """The preparation of an image in worker processes: it is resized so that its grid covers it.

    Attributes:
        resolution, patch, fit: see `patch_grid`.
    """

    resolution: int
    patch: int
    fit: Fit = "short_side"

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint8 RGB ``[height, width, 3]`` to uint8 ``[rows * patch, columns * patch, 3]``."""
        rows, columns = self.grid_size(*image.shape[:2])
        return resized(image, rows * self.patch, columns * self.patch)

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the patch grid of an image of ``height x width`` pixels."""
        return patch_grid(height, width, self.resolution, self.patch, self.fit)


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize with torch: bicubic, antialiased when shrinking.

    Four to five times as fast as Pillow and equally close to exact arithmetic. The two round differently: about one
    value in a hundred differs, by one level, rarely two; more if Pillow, from version 13 on, resizes the height first.

    Args:
        image: uint8 RGB ``[height, width, 3]``.

    Returns:
        uint8 ``[height, width, 3]``.
    """
    if image.shape[:2] == (height, width):
        return image
    pixels = torch.from_numpy(np.require(image, requirements=["C", "W"])).permute(2, 0, 1)[None]
    shrunk = torch.nn.functional.interpolate(pixels, size=(height, width), mode="bicubic", antialias=True)
    return np.ascontiguousarray(shrunk[0].permute(1, 2, 0).numpy())


@dataclass(frozen=True)
class Border:
    """The border that makes an image square, in whole patches, as even on both sides as possible.

    Attributes:
        top, bottom, left, right: its widths, patches.
    """

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def to_square(cls, rows: int, columns: int) -> Border:
        """The border around a grid of ``rows x columns`` patches."""
        side = max(rows, columns)
        top, left = (side - rows) // 2, (side - columns) // 2
        return cls(top, side - rows - top, left, side - columns - left)

    def around(self, pixels: Tensor, patch: int) -> Tensor:
        """``[image, 3, height, width]`` with the border: zeros, which are the mean colour after normalisation."""
        widths = (self.left, self.right, self.top, self.bottom)
        return torch.nn.functional.pad(pixels, [patch * width for width in widths])

    def dropped(self, tokens: Tensor, finer: int = 1) -> Tensor:
        """Patch tokens ``[image, layer, row, column, channel]`` without those of the border.

        Args:
            finer: tokens per patch along each side.
        """
        rows, columns = tokens.shape[2:4]
        return tokens[
            :, :, finer * self.top : rows - finer * self.bottom, finer * self.left : columns - finer * self.right
        ]


def nearest_multiples(resolution: int, patch: int) -> tuple[int, int]:
    """The multiples of ``patch`` on either side of ``resolution``, the lower at least one patch."""
    lower = max(resolution // patch, 1) * patch
    return lower, lower + patch


def check_multiples(sides: Mapping[str, int | None], patch: int, name: str) -> None:
    """Check lengths in pixels, by parameter name, against the side of a patch.

    Args:
        name: of the model, for the message.

    Raises:
        ConfigError: one is not a multiple of it.
    """
    for parameter, length in sides.items():
        if length is not None and length % patch:
            lower, upper = nearest_multiples(length, patch)
            raise ConfigError(
                f"{parameter} {length} is not a multiple of the patch size {patch} of model '{name}'; "
                f"use {lower} or {upper}"
            )
