"""From a surface to a photograph of it: light, shade and gloss, then the lens and the sensor."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from zsad.data.demo.shapes import frame_grid, smoothstep
from zsad.data.demo.surface import Surface

_SHADOW_STEPS = 12


@dataclass(frozen=True)
class Light:
    """A broad lamp over the object, besides light from all around.

    Attributes:
        azimuth: direction of the lamp, in radians counter-clockwise from the right; a quarter turn is above.
        elevation: radians above the surface.
        ambient: share of the light that comes from all around.
    """

    azimuth: float = np.pi / 2
    elevation: float = 0.95
    ambient: float = 0.45

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Light:
        """A lamp mounted over the upper edge of the picture, at a slightly different place each time."""
        return cls(np.pi / 2 + rng.normal(0, 0.25), rng.uniform(0.85, 1.05), rng.uniform(0.4, 0.5))

    @property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector towards the lamp: x to the right, y down, z towards the camera."""
        flat = np.cos(self.elevation)
        return flat * np.cos(self.azimuth), -flat * np.sin(self.azimuth), np.sin(self.elevation)


def shade(surface: Surface, light: Light) -> np.ndarray:
    """Noise-free picture of a surface, float32 ``[side, side, 3]``; a flat, matt surface shows its albedo."""
    slope_y, slope_x = (slope * np.float32(surface.side) for slope in np.gradient(surface.height))
    normal_z = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    normal_x, normal_y = -slope_x * normal_z, -slope_y * normal_z
    lamp_x, lamp_y, lamp_z = light.direction
    unblocked, openness = 1 - _shadow(surface, light), _openness(surface)
    facing = np.maximum(normal_x * lamp_x + normal_y * lamp_y + normal_z * lamp_z, 0) / lamp_z
    matt = (light.ambient * normal_z + (1 - light.ambient) * facing * unblocked) * openness
    # Mirrored by a flat surface, the line of sight goes up, beside the lamp; the lamp is broad enough to glow there.
    seen_x, seen_y = 2 * normal_z * normal_x, 2 * normal_z * normal_y
    glow = np.exp(-((seen_x - 0.6 * lamp_x) ** 2 + (seen_y - 0.6 * lamp_y) ** 2) / (2 * 0.3**2))
    metal = (0.3 + 1.15 * glow * (0.5 + 0.5 * unblocked)) * openness
    reflected: np.ndarray = surface.albedo * (matt + surface.gloss * (metal - matt))[..., None]
    return reflected


def expose(picture: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Take the photograph: uneven light, colour cast, exposure, defocus and sensor noise.

    Args:
        picture: float32 ``[side, side, 3]``, a whole multiple of ``size`` wide.
        size: width of the photograph in pixels.

    Returns:
        uint8 ``[size, size, 3]``, RGB.
    """
    x, y = frame_grid(size)
    tilt_x, tilt_y = rng.normal(0, 0.09, 2)
    evenness = 1 + tilt_x * x + tilt_y * y - rng.uniform(0.05, 0.3) * (x**2 + y**2)
    gain = rng.normal(1, 0.045) * rng.normal(1, 0.012, 3)
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    small = small * evenness[..., None].astype(np.float32) * gain.astype(np.float32)
    small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.3, 0.6) * size / 256)
    # Shot noise grows with the root of the light; the rest is the same everywhere.
    deviation = np.sqrt(0.006**2 + 0.011**2 * np.clip(small, 0, 1))
    noisy = small + deviation * rng.standard_normal(small.shape, dtype=np.float32)
    photograph: np.ndarray = np.round(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    return photograph


def _shadow(surface: Surface, light: Light) -> np.ndarray:
    """How much of the lamp is hidden, ``[side, side]`` in 0..1, computed by ray marching over the relief."""
    height, side = surface.height, surface.side
    drop = np.tan(light.elevation)
    reach = float(height.max() - height.min()) / drop
    hidden = np.zeros_like(height)
    if reach * side < 1:
        return hidden
    lamp_x, lamp_y, _ = light.direction
    flat = np.hypot(lamp_x, lamp_y)
    for step in range(1, _SHADOW_STEPS + 1):
        distance = reach * step / _SHADOW_STEPS
        shift = -distance * side / flat * np.array([lamp_x, lamp_y])
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        nearer = cv2.warpAffine(height, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        np.maximum(hidden, (nearer - height - np.float32(distance * drop)) / np.float32(0.006), out=hidden)
    shadow: np.ndarray = cv2.GaussianBlur(np.minimum(hidden, 1), (0, 0), 0.004 * side)
    return shadow


def _openness(surface: Surface) -> np.ndarray:
    """How open each point is to light from all around, ``[side, side]``: less in pits and at the foot of walls."""
    depth = cv2.GaussianBlur(surface.height, (0, 0), 0.015 * surface.side) - surface.height
    return 1 - 0.5 * smoothstep(depth / 0.025)
