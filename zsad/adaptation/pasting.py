"""Interface of recipes for synthetic anomalies, and random sizes, places and colours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

SIDE = 256  # pixels of an image that lengths are given for

Generator = np.random.Generator
Other = Callable[[], np.ndarray]


class Edit(NamedTuple):
    """A change of an image by a recipe.

    Attributes:
        top, left: position, pixels.
        pixels: uint8 RGB ``[row, column, 3]``, the new content.
        region: bool ``[row, column]``, the changed pixels.
        uses_other: whether it comes from another image.
    """

    top: int
    left: int
    pixels: np.ndarray
    region: np.ndarray
    uses_other: bool = False

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the image that it covers."""
        height, width = self.region.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


Recipe = Callable[[np.ndarray, Other | None, Generator], Edit]
"""Makes an anomaly.

Args:
    image: uint8 RGB ``[height, width, 3]``; not to be changed.
    other: reads another normal image, of any size; None if there is none.
    rng: random number generator.
"""


def scale_of(image: np.ndarray) -> float:
    """How many pixels of an image one pixel of an image of 256 x 256 stands for."""
    height, width = image.shape[:2]
    return float(np.sqrt(height * width)) / SIDE


def random_size(
    image: np.ndarray, rng: Generator, areas: tuple[float, float], aspects: tuple[float, float], margin: int = 0
) -> tuple[int, int]:
    """Random height and width of a rectangle inside an image, pixels; ``margin`` pixels are left free around it.

    In an image that is too narrow for the aspect, the area is kept as far as there is room.

    Args:
        areas: bounds of its share of the image; uniform.
        aspects: bounds of height over width; uniform in the logarithm.
    """
    height, width = image.shape[:2]
    highest, widest = max(height - 2 * margin, 1), max(width - 2 * margin, 1)
    area = rng.uniform(*areas) * height * width
    aspect = math.exp(rng.uniform(math.log(aspects[0]), math.log(aspects[1])))
    rows = min(max(round(float(np.sqrt(area * aspect))), 1), highest)
    columns = min(max(round(area / rows), 1), widest)
    rows = min(max(round(area / columns), 1), highest)
    return rows, columns


def random_place(outer: tuple[int, ...], inner: tuple[int, int], rng: Generator, margin: int = 0) -> tuple[int, int]:
    """Random top and left of a rectangle inside an image, uniform; ``margin`` pixels off its border."""
    top = int(rng.integers(margin, outer[0] - inner[0] - margin + 1))
    left = int(rng.integers(margin, outer[1] - inner[1] - margin + 1))
    return top, left


def jitter(pixels: np.ndarray, rng: Generator, amount: float) -> np.ndarray:
    """Pixels, uint8 RGB ``[row, column, 3]``, with random changes of brightness, contrast, saturation and hue.

    Args:
        amount: the factors of the first three lie within 1 - amount and 1 + amount; hue is turned by no more than
            that share of a circle.
    """
    brightness, contrast, saturation = rng.uniform(1 - amount, 1 + amount, 3)
    turn = float(rng.uniform(-amount, amount)) * 360
    values = pixels.astype(np.float32) / 255 * np.float32(brightness)
    values = (values - values.mean()) * np.float32(contrast) + values.mean()
    grey = values @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    values = grey[..., None] + (values - grey[..., None]) * np.float32(saturation)
    hsv = cv2.cvtColor(np.clip(values, 0, 1).astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + np.float32(turn)) % np.float32(360)
    return to_bytes(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Values of 0...255, rounded and clipped, as uint8."""
    rounded: np.ndarray = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return rounded
