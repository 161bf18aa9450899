"""The material of an object before it is lit: colour, relief and gloss, as layers that can be blended."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """A square piece of matter seen from above.

    Lengths are fractions of the image's width, so that a surface looks the same at every size.

    Attributes:
        albedo: float32 ``[side, side, 3]``, RGB in 0..1 as displayed.
        height: float32 ``[side, side]``, towards the camera.
        gloss: float32 ``[side, side]``, 0 is matt and 1 is bare metal.
    """

    albedo: np.ndarray
    height: np.ndarray
    gloss: np.ndarray

    @property
    def side(self) -> int:
        """Height and width in pixels."""
        side: int = self.height.shape[0]
        return side

    def covered(self, above: Surface, cover: np.ndarray) -> Surface:
        """This surface with ``above`` on top, with the opacity ``cover`` (``[side, side]`` in 0..1)."""
        return Surface(
            self.albedo + cover[..., None] * (above.albedo - self.albedo),
            self.height + cover * (above.height - self.height),
            self.gloss + cover * (above.gloss - self.gloss),
        )

    def warp(self, matrix: np.ndarray) -> Surface:
        """This surface under an affine map, given as ``[2, 3]`` from old to new pixel positions."""
        return Surface(*(warp(layer, matrix) for layer in (self.albedo, self.height, self.gloss)))


@dataclass(frozen=True)
class Specimen:
    """An object without defects, and the information that a defect needs.

    Attributes:
        surface: the object on its background.
        beneath: the surface that is visible where material or a component is missing.
        body: float32 ``[side, side]`` in 0..1, the region of the object.
        components: corners of each component that can be lost or moved, each float ``[4, 2]``, (x, y) in pixels.
    """

    surface: Surface
    beneath: Surface
    body: np.ndarray
    components: tuple[np.ndarray, ...] = ()


def warp(layer: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A layer under an affine map (``[2, 3]``, old to new pixel positions); its border is continued outwards."""
    return cv2.warpAffine(layer, matrix, layer.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def similarity(
    side: int, angle: float, scale: float, shift: tuple[float, float], pivot: np.ndarray | None = None
) -> np.ndarray:
    """Affine map ``[2, 3]`` that turns and scales about ``pivot`` (the centre of the image unless given), then shifts.

    Args:
        angle: radians, counter-clockwise as seen.
        shift: (x, y) as fractions of the side.
        pivot: (x, y) in pixels.
    """
    x, y = ((side - 1) / 2, (side - 1) / 2) if pivot is None else (float(pivot[0]), float(pivot[1]))
    matrix = cv2.getRotationMatrix2D((x, y), np.degrees(angle), scale)
    matrix[:, 2] += np.multiply(shift, side)
    return matrix
