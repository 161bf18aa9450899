"""A turned steel flange from above: the mirror-symmetric object, its axis upright except for small errors of pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zsad.data.demo.shapes import fractal_noise, frame_grid, grain, smoothstep
from zsad.data.demo.surface import Specimen, Surface

OUTER_RADIUS = 0.40
BORE_RADIUS = 0.15
BOLT_CIRCLE_RADIUS = 0.292
BOLT_COUNT = 6
# Height over the table against radius: bore, boss, flange with a groove, chamfered rim.
PROFILE_RADII = (0.150, 0.158, 0.205, 0.215, 0.338, 0.342, 0.350, 0.354, 0.386, 0.400)
PROFILE_HEIGHTS = (0.045, 0.054, 0.054, 0.045, 0.045, 0.041, 0.041, 0.045, 0.045, 0.034)


@dataclass(frozen=True)
class Pose:
    """The pose of the object: a shift (fractions of the picture), a turn (radians) and a scale."""

    x: float = 0.0
    y: float = 0.0
    turn: float = 0.0
    scale: float = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Pose:
        """A random pose as from a good feeder: within a few pixels and degrees."""
        x, y = rng.normal(0, 0.008, 2)
        return cls(x, y, rng.normal(0, np.radians(1.2)), rng.normal(1, 0.008))


def ring(side: int, rng: np.random.Generator, pose: Pose | None = None) -> Specimen:
    """One flange on a dark mat, ``side`` pixels wide; with a random pose unless ``pose`` is given."""
    pose = Pose.sample(rng) if pose is None else pose
    x, y = _part_coordinates(side, pose)
    radius = np.hypot(x, y)
    body = _body(x, y, radius, side)
    mat = _mat(side, rng)
    metal = Surface(*_metal(x, y, radius, rng))
    return Specimen(mat.covered(metal, body), mat, body)


def _part_coordinates(side: int, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    x, y = frame_grid(side)
    x, y = (x - np.float32(pose.x)) / np.float32(pose.scale), (y - np.float32(pose.y)) / np.float32(pose.scale)
    cosine, sine = np.float32(np.cos(pose.turn)), np.float32(np.sin(pose.turn))
    return cosine * x - sine * y, sine * x + cosine * y


def _body(x: np.ndarray, y: np.ndarray, radius: np.ndarray, side: int) -> np.ndarray:
    """Cover of the metal: the disc without the bore, the keyway at its top and the bolt holes."""
    keyway = np.maximum(np.maximum(np.abs(x) - 0.022, -y - 0.188), y)
    hollow = np.minimum(np.minimum(radius - BORE_RADIUS, keyway), _from_bolt_hole(x, y) - 0.030)
    return smoothstep(np.minimum(OUTER_RADIUS - radius, hollow) * side / 2 + 0.5)


def _metal(x: np.ndarray, y: np.ndarray, radius: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Albedo, height and gloss of turned steel, as if it had no holes."""
    side = x.shape[0]
    marks = _turning_marks(radius, rng)
    height = np.interp(radius, PROFILE_RADII, PROFILE_HEIGHTS).astype(np.float32)
    countersink = np.clip((0.044 - _from_bolt_hole(x, y)) / 0.014, 0, 1)
    height = height - 0.010 * countersink + 0.00028 * marks * (1 - countersink)
    steel = np.array([0.66, 0.66, 0.67], np.float32) * np.float32(rng.normal(1, 0.02))
    cloud = fractal_noise(side, rng, cells=5)
    albedo = steel * (1 + 0.018 * marks + 0.012 * cloud)[..., None]
    gloss = np.clip(0.72 + 0.03 * cloud, 0, 1)
    return albedo.astype(np.float32), height.astype(np.float32), gloss.astype(np.float32)


def _turning_marks(radius: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Concentric marks of the lathe, different on every object; standard deviation about 1."""
    fine, coarse = rng.standard_normal(260), rng.standard_normal(60)
    ends = (0, 0.45)
    marks = np.interp(radius, np.linspace(*ends, 260), fine) + np.interp(radius, np.linspace(*ends, 60), coarse)
    scaled: np.ndarray = (0.8 * marks).astype(np.float32)
    return scaled


def _from_bolt_hole(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance from the centre of the nearest bolt hole."""
    sector = 2 * np.pi / BOLT_COUNT
    # Folded into one sector; holes are on the upright axis, so that the ring is its own mirror image.
    folded = np.mod(np.arctan2(x, -y) + sector / 2, sector) - sector / 2
    radius = np.hypot(x, y)
    distance: np.ndarray = np.hypot(radius * np.cos(folded) - BOLT_CIRCLE_RADIUS, radius * np.sin(folded))
    return distance


def _mat(side: int, rng: np.random.Generator) -> Surface:
    """The dark rubber mat under the object."""
    speckle = grain(side, rng, 0.005)
    cloud = fractal_noise(side, rng, cells=3)
    albedo = np.array([0.17, 0.18, 0.20], np.float32) * (1 + 0.05 * cloud + 0.06 * speckle)[..., None]
    return Surface(albedo, 0.0003 * speckle, np.zeros((side, side), dtype=np.float32))
