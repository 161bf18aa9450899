"""Resizing of ground-truth masks, by name: published figures differ in this, often without saying so.

All but `NEAREST` shrink the mask, with 255 for a defective pixel and 0 for others, by Pillow's bilinear filter, as
torchvision's ``Resize`` does with a mask that is read from a file, and then take the pixels above some level. The
filter covers about twice the pixels that a new one stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

import cv2
import numpy as np
from PIL import Image

NEAREST: Final = "nearest"
FULL = 255


class MaskResizing(NamedTuple):
    """A way to resize a mask, bool ``[height, width]``, to another height and width.

    Attributes:
        words: description in words.
        read: the function that resizes.
    """

    words: str
    read: Callable[[np.ndarray, int, int], np.ndarray]


def nearest(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Nearest neighbour: a pixel is defective if its centre was."""
    if (height, width) == mask.shape:
        return mask
    return cv2.resize(mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT).view(bool)


def from_level(mask: np.ndarray, height: int, width: int, *, level: int) -> np.ndarray:
    """Bilinear: a pixel is defective if it is at least ``level`` of 255."""
    if (height, width) == mask.shape:
        return mask
    shades = Image.fromarray(mask.view(np.uint8) * np.uint8(FULL))
    at_least: np.ndarray = np.asarray(shades.resize((width, height), Image.Resampling.BILINEAR)) >= level
    return at_least


MASK_RESIZINGS = MappingProxyType(
    {
        NEAREST: MaskResizing("nearest neighbour", nearest),
        # `gt > 0.5`, the most common way
        "half": MaskResizing("bilinear, above one half", partial(from_level, level=FULL // 2 + 1)),
        # `.astype(int)` of numbers in 0..1, of MuSc on MVTec AD, and of PatchCore
        "whole": MaskResizing("bilinear, wholly defective pixels", partial(from_level, level=FULL)),
        # `gt > 0`, of MuSc on VisA, and of Dinomaly
        "any": MaskResizing("bilinear, partly defective pixels", partial(from_level, level=1)),
    }
)
