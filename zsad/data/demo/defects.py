"""Defects: each function changes a specimen's surface and returns how much of it is replaced at each point.

A defect alters colour, relief and gloss before the object is lit, so that it is lit, shaded and photographed like the
rest. Size, place and contrast vary widely: some defects are obvious, some are hard to see.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from zsad.data.demo.shapes import (
    blob,
    distance_to_path,
    fractal_noise,
    frame_grid,
    polygon,
    random_point,
    smoothstep,
    stroke,
    wandering_path,
)
from zsad.data.demo.surface import Specimen, Surface, similarity

Defect = Callable[[Specimen, np.random.Generator], tuple[Surface, np.ndarray]]
"""Takes a specimen; returns the altered surface and its cover, float32 ``[side, side]`` in 0..1."""


def stain(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """A dried liquid or a bloom of salt: the surface shows through, darker or paler, often most at the rim."""
    surface = specimen.surface
    patch, strength = _blotch(specimen, rng)
    hue = rng.uniform(-0.05, 0.05)
    brightness = rng.uniform(1.3, 1.5) if rng.random() < 0.3 else rng.uniform(0.45, 0.75)
    colour = brightness * np.array([1 + hue, 1, 1 - 2 * abs(hue)], np.float32)
    albedo = np.clip(surface.albedo * (1 + strength[..., None] * (colour - 1)), 0, 1)
    gloss = surface.gloss * (1 - 0.4 * strength) + 0.03 * strength
    return Surface(albedo, surface.height, gloss), patch


def scorch(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """Withered grass: every blade is still there, but its green has turned to straw."""
    surface = specimen.surface
    patch, strength = _blotch(specimen, rng)
    straw = np.array([1.06, 0.95, 0.70], np.float32) * rng.uniform(0.9, 1.15)
    withered = np.clip(surface.albedo.mean(axis=2, keepdims=True) * straw, 0, 1)
    albedo = surface.albedo + rng.uniform(0.6, 1) * strength[..., None] * (withered - surface.albedo)
    return Surface(albedo, surface.height, surface.gloss), patch


def crack(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """A branching crack: a dark, narrow, wandering cleft."""
    surface, side = specimen.surface, specimen.surface.side
    heading, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.55)
    start = random_point(specimen.body, rng, 0.08) - 0.35 * length * _direction(heading)
    trunk = wandering_path(start, heading, length, 0.28, rng)
    paths = [trunk]
    for _ in range(rng.integers(0, 3)):
        fork = trunk[rng.integers(len(trunk) // 4, len(trunk) - 1)]
        turn = rng.choice([-1, 1]) * rng.uniform(0.5, 1.1)
        paths.append(wandering_path(fork, heading + turn, length * rng.uniform(0.2, 0.45), 0.28, rng))
    half_width = rng.uniform(0.0014, 0.0036)
    ragged = np.clip(1 + 0.4 * fractal_noise(side, rng, cells=24), 0.3, 2)
    widths = (half_width * (1 if path is trunk else 0.7) * ragged * _tapering(side, path) for path in paths)
    cleft = np.maximum.reduce([stroke(side, path, width) for path, width in zip(paths, widths, strict=True)])
    dark = rng.uniform(0.35, 0.75)
    albedo = surface.albedo * (1 - (1 - dark) * cleft[..., None])
    return Surface(albedo, surface.height - 0.006 * cleft, surface.gloss * (1 - cleft)), cleft


def scratch(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """One to three nearly parallel grooves with raised edges, brighter than the surface."""
    surface, side = specimen.surface, specimen.surface.side
    heading, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.10, 0.32)
    along = _direction(heading)
    first = random_point(specimen.body, rng, 0.04) - length / 2 * along
    groove = np.zeros((side, side), dtype=np.float32)
    height = surface.height.copy()
    for index in range(rng.integers(1, 4)):
        start = first + index * rng.uniform(0.008, 0.016) * along[::-1] * (1, -1) + rng.normal(0, 0.02) * along
        path = wandering_path(start, heading + rng.normal(0, 0.04), length * rng.uniform(0.6, 1), 0.02, rng)
        half_width = rng.uniform(0.0016, 0.0034)
        groove = np.maximum(groove, stroke(side, path, half_width))
        from_edge = (distance_to_path(side, path) - 1.6 * half_width) / half_width
        height += 0.0012 * np.exp(-(from_edge**2)) * specimen.body
    # The pressure varies along the scratch.
    groove *= np.clip(0.75 + 0.25 * fractal_noise(side, rng, cells=8), 0.3, 1) * specimen.body
    bright = rng.uniform(0.10, 0.35)
    albedo = surface.albedo + groove[..., None] * (bright + 0.15 * (1 - surface.albedo))
    return Surface(np.clip(albedo, 0, 1), height - 0.0025 * groove, surface.gloss * (1 - 0.6 * groove)), groove


def dent(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """A blow: a smooth hollow with a low wall around it; the colour is unchanged."""
    surface, side = specimen.surface, specimen.surface.side
    radius = rng.uniform(0.022, 0.05)
    hollow = blob(side, random_point(specimen.body, rng, radius), radius, rng, ragged=0.12, soft=0.9) * specimen.body
    wall = cv2.GaussianBlur(hollow, (0, 0), 0.3 * radius * side) - hollow
    height = surface.height - radius * rng.uniform(0.08, 0.24) * hollow
    height = height + 0.12 * radius * np.maximum(wall, 0) * specimen.body
    return Surface(surface.albedo, height, surface.gloss), smoothstep(hollow / 0.6)


def missing_material(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """A gap in the surface, open or half covered, which follows the surface's own dark joints first."""
    side, albedo = specimen.surface.side, specimen.surface.albedo
    patch = blob(side, random_point(specimen.body, rng, 0.05), rng.uniform(0.03, 0.085), rng, soft=0.9)
    brightness = cv2.GaussianBlur(albedo.mean(axis=2), (0, 0), 0.003 * side)
    joints = (brightness.mean() - brightness) / brightness.std()
    opened = smoothstep((patch + 0.16 * np.clip(joints, -2, 2) * (patch > 0.05) - 0.5) / 0.22 + 0.5)
    return _without(specimen, opened * rng.uniform(0.6, 1))


def chip(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """A piece broken out of an edge of the object."""
    side = specimen.surface.side
    inner = cv2.erode(specimen.body, np.ones((3, 3)), iterations=max(1, side // 128))
    edge = random_point(np.clip(specimen.body - inner, 0, 1), rng, 0)
    patch = blob(side, edge, rng.uniform(0.022, 0.055), rng, ragged=0.35, soft=0.12) * specimen.body
    surface, cover = _without(specimen, patch)
    # Fresh, rough fracture along the break.
    fracture = (4 * cover * (1 - cover))[..., None] * specimen.body[..., None]
    rough = 0.5 + 0.08 * fractal_noise(side, rng, cells=48, octaves=2)[..., None]
    return Surface(surface.albedo + 0.7 * fracture * (rough - surface.albedo), surface.height, surface.gloss), cover


def missing_component(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """A component that was never placed: its bare pads are visible."""
    return _without(specimen, polygon(specimen.surface.side, _component(specimen, rng)))


def misplaced_component(specimen: Specimen, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """A component that has slipped and turned; its cover is its old place and its new one."""
    side, corners = specimen.surface.side, _component(specimen, rng)
    old = polygon(side, corners)
    turn = rng.choice([-1, 1]) * rng.uniform(0.25, 1.2)
    heading, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.008, 0.03)
    shift = (distance * np.cos(heading), distance * np.sin(heading))
    slip = similarity(side, turn, 1.0, shift, pivot=corners.mean(axis=0))
    new = polygon(side, corners @ slip[:, :2].T + slip[:, 2])
    surface, _ = _without(specimen, old)
    return surface.covered(specimen.surface.warp(slip), new), np.maximum(old, new)


def _blotch(specimen: Specimen, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cover of a soft, ragged patch on the object, and its uneven strength, each ``[side, side]`` in 0..1."""
    side = specimen.surface.side
    patch = blob(side, random_point(specimen.body, rng, 0.06), rng.uniform(0.04, 0.11), rng, ragged=0.5, soft=0.35)
    patch = patch * specimen.body
    rim = 4 * patch * (1 - patch)
    unevenness = smoothstep(0.5 + 0.3 * fractal_noise(side, rng, cells=10))
    return patch, np.clip(patch * (0.65 + 0.35 * unevenness) + rng.uniform(0, 0.4) * rim, 0, 1)


def _tapering(side: int, path: np.ndarray) -> np.ndarray:
    """Relative width of a crack along ``path``, ``[side, side]``: full at its start, a hairline at its tip."""
    x, y = frame_grid(side)
    from_tip = np.hypot(x - np.float32(path[-1, 0]), y - np.float32(path[-1, 1]))
    length = np.hypot(*(path[-1] - path[0]))
    return 0.3 + 0.7 * smoothstep(from_tip / max(length, 0.05))


def _direction(heading: float) -> np.ndarray:
    return np.array([np.cos(heading), np.sin(heading)])


def _without(specimen: Specimen, patch: np.ndarray) -> tuple[Surface, np.ndarray]:
    return specimen.surface.covered(specimen.beneath, patch), patch


def _component(specimen: Specimen, rng: np.random.Generator) -> np.ndarray:
    return specimen.components[rng.integers(len(specimen.components))]
