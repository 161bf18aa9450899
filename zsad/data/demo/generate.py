"""Render and write the images of the demo set, each from its own random numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from zsad.data.demo import defects
from zsad.data.demo.board import board
from zsad.data.demo.foreign_bodies import foreign_body
from zsad.data.demo.photograph import Light, expose, shade
from zsad.data.demo.plan import CATEGORIES, DEFECT_KINDS, DemoOptions
from zsad.data.demo.ring import ring
from zsad.data.demo.surface import Specimen
from zsad.data.demo.textures import MATERIALS, Split, texture
from zsad.files.atomic import atomic_path

# Everything is rendered at twice the size and averaged, for smooth edges.
OVERSAMPLING = 2
# A pixel is defective where the defect covers at least a quarter of it, or changes the noise-free picture by 6 %.
COVER_THRESHOLD = 0.25
CHANGE_THRESHOLD = 0.06
# A person should find every defect at a second look; this limit was chosen by eye, on pictures sorted by visibility.
VISIBLE = 0.12
DRAWS = 12

SPECIMENS: dict[str, Callable[[int, Split, np.random.Generator], Specimen]] = {
    **{name: partial(texture, name) for name in MATERIALS},
    "ring": lambda side, split, rng: ring(side, rng),
    "board": lambda side, split, rng: board(side, rng),
}

DEFECTS: dict[str, defects.Defect] = {
    "bare_patch": defects.missing_material,
    "chip": defects.chip,
    "crack": defects.crack,
    "dent": defects.dent,
    "foreign_body": foreign_body,
    "hole": defects.missing_material,
    "misplaced_component": defects.misplaced_component,
    "missing_component": defects.missing_component,
    "scorch": defects.scorch,
    "scratch": defects.scratch,
    "stain": defects.stain,
}


def good_image(category: str, split: Split, size: int, rng: np.random.Generator) -> np.ndarray:
    """One image without a defect, uint8 ``[size, size, 3]``, RGB."""
    specimen_rng, light_rng, camera_rng, _ = rng.spawn(4)
    specimen = SPECIMENS[category](OVERSAMPLING * size, split, specimen_rng)
    return expose(shade(specimen.surface, Light.sample(light_rng)), size, camera_rng)


def defective_image(category: str, kind: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One test image with a defect, and its mask.

    Without the defect it would be the `good_image` of the same random numbers.

    Returns:
        uint8 ``[size, size, 3]``, RGB, and uint8 ``[size, size]``, 255 where the image is defective and 0 elsewhere.
    """
    specimen_rng, light_rng, camera_rng, defect_rng = rng.spawn(4)
    specimen = SPECIMENS[category](OVERSAMPLING * size, "test", specimen_rng)
    light = Light.sample(light_rng)
    picture, cover, change, _ = _visible_defect(specimen, light, DEFECTS[kind], defect_rng)
    return expose(picture, size, camera_rng), _mask(cover, np.abs(change).max(axis=2), size)


def visibility(change: np.ndarray, detail: np.float32) -> float:
    """How far a defect stands out: its change relative to the detail around it.

    Args:
        change: what the defect changes in the noise-free picture, float32 ``[side, side, 3]``.
        detail: the output of `detail_of`.

    Returns:
        Root mean square of the change over the whole picture, in standard deviations of the object's brightness detail.
    """
    return float(np.sqrt((change**2).mean()) / detail)


def detail_of(good: np.ndarray, body: np.ndarray) -> np.float32:
    """Standard deviation of an object's brightness detail.

    Args:
        good: noise-free picture, float32 ``[side, side, 3]``.
        body: cover of the object, ``[side, side]``.
    """
    brightness = good.mean(axis=2)
    fine = brightness - cv2.GaussianBlur(brightness, (0, 0), len(good) / 16)
    deviation: np.float32 = fine[body > 0.5].std()
    return deviation


class _Drawn(NamedTuple):
    """A rendered defect: noise-free picture, cover, change of the picture, and its `visibility`."""

    picture: np.ndarray
    cover: np.ndarray
    change: np.ndarray
    visibility: float


def _visible_defect(specimen: Specimen, light: Light, defect: defects.Defect, rng: np.random.Generator) -> _Drawn:
    """The first random defect that is visible, or else the most visible one."""
    good = shade(specimen.surface, light)
    detail = detail_of(good, specimen.body)
    first, *others = rng.spawn(DRAWS)
    best = _drawn(specimen, light, defect, first, good, detail)
    for draw in others:
        if best.visibility >= VISIBLE:
            break
        best = max(best, _drawn(specimen, light, defect, draw, good, detail), key=lambda drawn: drawn.visibility)
    return best


def _drawn(
    specimen: Specimen,
    light: Light,
    defect: defects.Defect,
    draw: np.random.Generator,
    good: np.ndarray,
    detail: np.float32,
) -> _Drawn:
    surface, cover = defect(specimen, draw)
    picture = shade(surface, light)
    change = picture - good
    return _Drawn(picture, cover, change, visibility(change, detail))


def write_image(folder: Path, category: str, split: Split, index: int, options: DemoOptions) -> None:
    """Write one normal image."""
    rng = _image_rng(category, 0 if split == "train" else 1, index, options)
    _write_png(folder / split / "good" / f"{index:03d}.png", good_image(category, split, options.size, rng))


def write_image_and_mask(folder: Path, category: str, kind: str, index: int, options: DemoOptions) -> None:
    """Write one defective test image and its mask."""
    rng = _image_rng(category, 2 + DEFECT_KINDS[category].index(kind), index, options)
    image, mask = defective_image(category, kind, options.size, rng)
    _write_png(folder / "test" / kind / f"{index:03d}.png", image)
    _write_png(folder / "ground_truth" / kind / f"{index:03d}_mask.png", mask)


def _image_rng(category: str, part: int, index: int, options: DemoOptions) -> np.random.Generator:
    """Random numbers of one image: ``part`` is 0 for training, 1 for normal test images, then one per defect type."""
    return np.random.default_rng([options.seed, CATEGORIES.index(category), part, index])


def _mask(cover: np.ndarray, change: np.ndarray, size: int) -> np.ndarray:
    cover, change = (cv2.resize(field, (size, size), interpolation=cv2.INTER_AREA) for field in (cover, change))
    # A hairline can cover less than a quarter of every pixel of a small image; its core is marked anyway.
    defective = (cover >= min(COVER_THRESHOLD, 0.5 * cover.max())) | (change >= CHANGE_THRESHOLD)
    mask: np.ndarray = defective.astype(np.uint8) * 255
    return mask


def _write_png(path: Path, pixels: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", compress_level=6)
