"""Things that do not belong on an object: a crumb, a piece of wire or thread, a nut."""

from __future__ import annotations

import cv2
import numpy as np

from zsad.data.demo.shapes import (
    blob,
    distance_to_path,
    fractal_noise,
    frame_grid,
    random_point,
    smoothstep,
    wandering_path,
)
from zsad.data.demo.surface import Colour, Specimen, Surface

# Stone, wood, rust, rubber, dull plastic.
_COLOURS = ((0.50, 0.48, 0.45), (0.46, 0.35, 0.24), (0.38, 0.22, 0.15), (0.12, 0.12, 0.12), (0.60, 0.60, 0.56))


def foreign_body(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """One small thing lying on the object: it has its own shading and casts a shadow."""
    forms = (_crumb, _wire, _nut)
    return forms[rng.integers(len(forms))](specimen, rng)


def _crumb(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    side, radius = specimen.surface.side, rng.uniform(0.016, 0.038)
    centre = random_point(specimen.body, rng, radius)
    dome = blob(side, centre, radius, rng, ragged=0.25, soft=1.6)
    cover = smoothstep((dome - 0.15) / 0.12)
    facets = fractal_noise(side, rng, cells=30, octaves=2)
    height = _ground(specimen, centre) + radius * (0.9 * np.sqrt(dome) + 0.04 * facets)
    return _laid(specimen, _drawn_colour(rng), height, 0.05, cover, rng)


def _wire(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    side, half_width = specimen.surface.side, rng.uniform(0.0035, 0.0075)
    length, heading = rng.uniform(0.12, 0.35), rng.uniform(0, 2 * np.pi)
    start = random_point(specimen.body, rng, 0.05) - length / 2 * np.array([np.cos(heading), np.sin(heading)])
    distance = distance_to_path(side, wandering_path(start, heading, length, 0.12, rng))
    cover = np.clip((half_width - distance) * side + 0.5, 0, 1)
    ground = cv2.GaussianBlur(specimen.surface.height, (0, 0), 0.02 * side)
    height = ground + 0.003 + np.sqrt(np.maximum(half_width**2 - distance**2, 0)) * 2
    return _laid(specimen, _drawn_colour(rng), height, rng.choice([0.05, 0.5]), cover, rng)


def _nut(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    side, radius = specimen.surface.side, rng.uniform(0.024, 0.042)
    centre, turn = random_point(specimen.body, rng, radius), rng.uniform(0, np.pi / 3)
    x, y = frame_grid(side)
    x, y = x - np.float32(centre[0]), y - np.float32(centre[1])
    folded = np.mod(np.arctan2(y, x) - turn, np.pi / 3) - np.pi / 6
    distance = np.hypot(x, y)
    inside = np.minimum(radius * 0.9 - distance * np.cos(folded), distance - 0.48 * radius)
    cover = np.clip(inside * side + 0.5, 0, 1)
    height = _ground(specimen, centre) + radius * (0.5 + 0.25 * np.clip(inside / (0.15 * radius), 0, 1))
    dull_steel = tuple(rng.uniform(0.42, 0.62) * np.array([1, 0.98, 0.95]))
    return _laid(specimen, dull_steel, height.astype(np.float32), 0.55, cover, rng)


def _drawn_colour(rng: np.random.Generator) -> Colour:
    return tuple(np.array(_COLOURS[rng.integers(len(_COLOURS))]) * rng.uniform(0.85, 1.15))


def _ground(specimen: Specimen, centre: np.ndarray) -> np.float32:
    """Height of the surface at a point."""
    column, row = (int((value + 0.5) * specimen.surface.side) for value in centre)
    height: np.float32 = specimen.surface.height[row, column]
    return height


def _laid(
    specimen: Specimen,
    colour: Colour,
    height: np.ndarray,
    gloss: float,
    cover: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Surface, np.ndarray]:
    """The specimen's surface with a thing of one colour, slightly mottled, lying on it."""
    side = specimen.surface.side
    mottle = 1 + 0.07 * fractal_noise(side, rng, cells=24, octaves=3)
    albedo = np.clip(np.array(colour, np.float32) * mottle[..., None], 0, 1)
    thing = Surface(albedo, height, np.full((side, side), gloss, dtype=np.float32))
    return specimen.surface.covered(thing, cover), cover
