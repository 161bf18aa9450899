"""Brick and grass: crops of real photographs that come with scikit-image.

The photograph of gravel is not suitable: it shows needles, which would look like foreign bodies in normal images.

Training crops come from the left half of the photograph, test crops from the right half; a crop is cut from its half
before it is turned, so that no pixel is in both splits. Crops are flipped sideways at random, because perspective makes
one half the other's mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from zsad.data.demo.shapes import fractal_noise, grain, stroke
from zsad.data.demo.surface import Colour, Specimen, Surface

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Material:
    """How a grey photograph is coloured.

    Attributes:
        dark, light: RGB values for the photograph's black and white.
        beneath: RGB of the ground under the surface.
        pits: mean number of harmless dark pinholes in a crop, as kilns leave them.
    """

    dark: Colour
    light: Colour
    beneath: Colour
    pits: float = 0


MATERIALS: dict[str, Material] = {
    "brick": Material(dark=(0.16, 0.07, 0.05), light=(0.93, 0.90, 0.88), beneath=(0.42, 0.27, 0.21), pits=9),
    "grass": Material(dark=(0.03, 0.06, 0.02), light=(0.82, 0.90, 0.64), beneath=(0.30, 0.23, 0.16)),
}


def texture(name: str, side: int, split: Split, rng: np.random.Generator) -> Specimen:
    """One crop of a texture, ``side`` pixels wide; it fills the picture."""
    material = MATERIALS[name]
    grey = _crop(source_half(name, split), side, rng)
    dark, light = np.array(material.dark, np.float32), np.array(material.light, np.float32)
    weathering = 1 + 0.025 * fractal_noise(side, rng, cells=3)
    wear = weathering * (1 - _pits(side, material.pits, rng))
    albedo = np.clip((dark + grey[..., None] * (light - dark)) * wear[..., None], 0, 1)
    flat = np.zeros((side, side), dtype=np.float32)
    surface = Surface(albedo, flat, flat)
    return Specimen(surface, _beneath(surface, material, rng), np.ones_like(flat))


@lru_cache(maxsize=8)
def source_half(name: str, split: Split) -> np.ndarray:
    """The half of a photograph for one split, float32 ``[512, 256]`` in 0..1."""
    from skimage import data

    photograph = np.asarray(getattr(data, name)(), dtype=np.float32) / 255
    photograph.flags.writeable = False
    middle = photograph.shape[1] // 2
    return photograph[:, :middle] if split == "train" else photograph[:, middle:]


def _crop(source: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A square window of the source, slightly turned and zoomed, perhaps flipped sideways; ``[side, side]``."""
    rows, columns = source.shape
    window = rng.uniform(0.64, 0.84) * columns
    angle = rng.uniform(-1, 1) * np.radians(5)
    # The turned window stays inside, two pixels clear of the border for the interpolation.
    margin = window * (np.cos(angle) + np.sin(abs(angle))) / 2 + 2
    centre = (rng.uniform(margin, columns - margin), rng.uniform(margin, rows - margin))
    flip = rng.choice([-1, 1])
    zoom = side / window
    turn = zoom * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turn[0] *= flip
    shift = np.full(2, (side - 1) / 2) - turn @ np.array(centre)
    matrix = np.column_stack([turn, shift])
    return np.clip(cv2.warpAffine(source, matrix, (side, side), flags=cv2.INTER_CUBIC), 0, 1)


def _pits(side: int, mean_count: float, rng: np.random.Generator) -> np.ndarray:
    """How much light small pits absorb, ``[side, side]`` in 0..1."""
    swallowed = np.zeros((side, side), dtype=np.float32)
    for _ in range(rng.poisson(mean_count)):
        start = rng.uniform(-0.5, 0.5, 2)
        path = np.array([start, start + rng.normal(0, 0.008, 2)])
        swallowed = np.maximum(swallowed, rng.uniform(0.35, 0.85) * stroke(side, path, rng.uniform(0.001, 0.0045)))
    return swallowed


def _beneath(surface: Surface, material: Material, rng: np.random.Generator) -> Surface:
    """Coarse ground a little lower, with some of the brightness of the surface above it."""
    side = surface.side
    above = cv2.GaussianBlur(surface.albedo, (0, 0), 0.03 * side)
    rough = fractal_noise(side, rng, cells=24, octaves=3)
    speckle = grain(side, rng, 0.006)
    ground = 0.65 * np.array(material.beneath, np.float32) + 0.25 * above
    albedo = np.clip(ground * (1 + 0.10 * rough + 0.10 * speckle)[..., None], 0, 1)
    height = (-0.012 + 0.0022 * rough + 0.0006 * speckle).astype(np.float32)
    return Surface(albedo, height, np.zeros_like(height))
