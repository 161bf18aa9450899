"""Textures that look foreign in a normal image, made only of normal images and noise."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from zsad.adaptation.pasting import Generator, Other, to_bytes

ZOOMS = (0.5, 3.0)
GAINS = (0.5, 1.5)  # of colours
SHIFTS = 80  # levels of 255
COARSEST, FINEST = 2, 256  # cells of noise along a side
NOISE_SIDE = 512  # pixels at which noise is computed


class Texture(NamedTuple):
    """A texture of an image's size.

    Attributes:
        pixels: uint8 RGB ``[height, width, 3]``.
        uses_other: whether it comes from another image.
    """

    pixels: np.ndarray
    uses_other: bool


def texture_for(image: np.ndarray, other: Other | None, rng: Generator) -> Texture:
    """Choose at random one of three kinds: another normal image, the image itself, or noise.

    Images are rotated, rescaled and recolour.

    Args:
        image, other, rng: as of `zsad.adaptation.pasting.Recipe`; without another image, this image is used instead.
    """
    height, width = image.shape[:2]
    kind = rng.integers(3)
    if kind == 0:
        return Texture(noise_texture(height, width, rng), uses_other=False)
    source = other() if kind == 1 and other is not None else image
    return Texture(_estranged(source, height, width, rng), uses_other=source is not image)


def _estranged(source: np.ndarray, height: int, width: int, rng: Generator) -> np.ndarray:
    """An image of any size as a texture of the given size."""
    turn = cv2.getRotationMatrix2D(
        (source.shape[1] / 2, source.shape[0] / 2),
        float(rng.uniform(-180, 180)),
        float(np.exp(rng.uniform(*np.log(ZOOMS)))),
    )
    turn[:, 2] += ((width - source.shape[1]) / 2, (height - source.shape[0]) / 2)
    turned = cv2.warpAffine(source, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return recolour(turned, rng)


def recolour(pixels: np.ndarray, rng: Generator) -> np.ndarray:
    """Pixels in other colours: each channel stretched and shifted, and one time in three inverted."""
    levels = np.arange(256, dtype=np.float64)
    if rng.random() < 1 / 3:
        levels = levels[::-1]
    gains, shifts = rng.uniform(*GAINS, 3), rng.uniform(-SHIFTS, SHIFTS, 3)
    table = to_bytes((levels[:, None] - 127.5) * gains + 127.5 + shifts)
    changed: np.ndarray = cv2.LUT(np.ascontiguousarray(pixels), table[None])
    return changed


def noise_texture(height: int, width: int, rng: Generator) -> np.ndarray:
    """Noise of several scales between two or three colours, uint8 RGB ``[height, width, 3]``.

    Each scale has half the weight of the one that is twice as coarse, beginning at a random one, so that there are
    clouds, stains and grains.
    """
    first = int(2 ** rng.integers(np.log2(COARSEST), np.log2(FINEST) + 1))
    stretch = float(np.exp(rng.uniform(-np.log(4), np.log(4))))  # streaks
    total = np.zeros((NOISE_SIDE, NOISE_SIDE), np.float32)
    weight, cells = 1.0, first
    while cells <= FINEST:
        rows = min(max(round(cells * stretch), 2), NOISE_SIDE)
        grains = rng.standard_normal((rows, cells), dtype=np.float32)
        total += np.float32(weight) * cv2.resize(grains, total.shape[::-1], interpolation=cv2.INTER_CUBIC)
        weight, cells = weight / 2, cells * 2
    low, high = np.percentile(total, [2, 98])
    shares = np.clip((total - low) / max(high - low, 1e-6), 0, 1)
    colours = rng.uniform(0, 255, (int(rng.integers(2, 4)), 3))
    knots = np.linspace(0, 1, len(colours))
    small = np.stack([np.interp(shares, knots, colours[:, channel]) for channel in range(3)], axis=-1)
    pixels: np.ndarray = cv2.resize(to_bytes(small), (width, height), interpolation=cv2.INTER_LINEAR)
    return pixels
