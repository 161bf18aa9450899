"""DRAEM: blobs of Perlin noise that are filled with a foreign texture (Zavrtanik et al., ICCV 2021, section 3.3)."""

from __future__ import annotations

import cv2
import numpy as np

from zsad.adaptation.pasting import Edit, Generator, Other, to_bytes
from zsad.adaptation.textures import texture_for
from zsad.data.pixels import strips

CELLS = 6  # number of powers of two, from 1 on, for the cells along a side
THRESHOLD = 0.5  # of noise that lies within -1 and 1
OPACITIES = (0.1, 1.0)
FINE = 256  # pixels of a side at which noise is computed


def perlin(image: np.ndarray, other: Other | None, rng: Generator) -> Edit:
    """Blend a texture into blobs of noise; see `zsad.adaptation.pasting.Recipe`.

    Textures are not photographs of other things, as in the paper, but made of normal images or of noise, see
    `zsad.adaptation.textures`.
    """
    region = _blobs(image.shape[0], image.shape[1], rng)
    texture = texture_for(image, other, rng)
    opacity = np.float32(rng.uniform(*OPACITIES))
    pixels = image.copy()
    for rows in strips(*region.shape):
        inside = region[rows]
        below = pixels[rows][inside].astype(np.float32)
        pixels[rows][inside] = to_bytes(below * (1 - opacity) + texture.pixels[rows][inside] * opacity)
    return Edit(0, 0, pixels, region, texture.uses_other)


def _blobs(height: int, width: int, rng: Generator) -> np.ndarray:
    """Bool ``[height, width]``: where noise, rotated by any angle, is above the threshold.

    If no noise is above it, the noise is generated again.
    """
    turned = _turned_noise(rng)
    while not (turned > THRESHOLD).any():
        turned = _turned_noise(rng)
    blobs: np.ndarray = cv2.resize(turned, (width, height), interpolation=cv2.INTER_LINEAR) > THRESHOLD
    return blobs


def _turned_noise(rng: Generator) -> np.ndarray:
    cells = 2 ** rng.integers(0, CELLS, 2)
    noise = perlin_noise(FINE, FINE, (int(cells[0]), int(cells[1])), rng)
    turn = cv2.getRotationMatrix2D(((FINE - 1) / 2, (FINE - 1) / 2), float(rng.uniform(-90, 90)), 1.0)
    return cv2.warpAffine(noise, turn, (FINE, FINE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def perlin_noise(rows: int, columns: int, cells: tuple[int, int], rng: Generator) -> np.ndarray:
    """Gradient noise, float32 ``[row, column]`` within -1 and 1 (Perlin, SIGGRAPH 1985; 2002 for the blending).

    Args:
        cells: number along the rows and along the columns.
    """
    angles = rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    y, x = (np.linspace(0, count, side, endpoint=False) for count, side in zip(cells, (rows, columns), strict=True))
    top, left = y.astype(int), x.astype(int)
    down, right = (y - top)[:, None], (x - left)[None, :]

    def slope(below: int, beside: int) -> np.ndarray:
        """The contribution of the gradient at one corner of each cell."""
        angle = angles[np.ix_(top + below, left + beside)]
        height: np.ndarray = np.sin(angle) * (down - below) + np.cos(angle) * (right - beside)
        return height

    across, along = _eased(right), _eased(down)
    upper = slope(0, 0) * (1 - across) + slope(0, 1) * across
    lower = slope(1, 0) * (1 - across) + slope(1, 1) * across
    noise: np.ndarray = np.sqrt(2) * (upper * (1 - along) + lower * along)
    return noise.astype(np.float32)


def _eased(share: np.ndarray) -> np.ndarray:
    eased: np.ndarray = share**3 * (share * (share * 6 - 15) + 10)
    return eased
