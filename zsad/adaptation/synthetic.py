"""Synthetic anomalies made from normal images alone: the recipes by name, and masks of the actual changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np

from zsad.adaptation.cutpaste import cutpaste
from zsad.adaptation.normal_patch import normal_patch
from zsad.adaptation.pasting import Edit, Generator, Other, Recipe, scale_of, to_bytes
from zsad.adaptation.perlin import perlin
from zsad.adaptation.scar import scar

RECIPES: Mapping[str, Recipe] = MappingProxyType(  # by the names in `zsad.data.subsets.RECIPES`
    {"cutpaste": cutpaste, "perlin": perlin, "normal_patch": normal_patch, "scar": scar}
)
LEVEL = 4  # of 255: smaller changes of a pixel do not count
REACH = 2  # pixels of an image of 256 x 256, over which changes are smoothed
LEAST, MOST = 0.0005, 0.35  # share of the image that is anomalous
VISIBLE = 6  # least change by an anomaly, smoothed, in levels
CONTRAST = 1.25  # times the usual difference between places of the smoothed image
APART = 8  # pixels of an image of 256 x 256, between two places
ATTEMPTS = 12
SHADES = (25, 75)  # levels


class Synthetic(NamedTuple):
    """An image with an anomaly.

    Attributes:
        image: uint8 RGB ``[height, width, 3]``; outside of the mask it equals the reference, bit by bit.
        mask: bool ``[height, width]``, where it is anomalous; never empty.
        uses_other: whether the anomaly comes from another image.
    """

    image: np.ndarray
    mask: np.ndarray
    uses_other: bool


def generator_of(seed: int, index: int, base: str) -> Generator:
    """The random number generator of one image, which depends only on these arguments."""
    digest = hashlib.sha256(f"{seed} {index} {base}".encode(errors="surrogateescape")).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


def add_anomaly(image: np.ndarray, recipe: str, other: Other | None, rng: Generator) -> Synthetic:
    """Put an anomaly into an image by a recipe.

    Unchanged pixels of a paste are not anomalous: the mask is where the image changes by more than 4 levels of 255, and
    all pixels outside of it stay as they were. A new attempt is made if the mask is too small or too large, or if the
    anomaly would be invisible: smoothed, an anomaly must differ from what was there by at least 6 levels, and should by
    a quarter more than the image usually does from one place to the next, or it is lost in a texture. If none of 12
    attempts does, the one that differs most is taken; if none differs by 6 levels, as in an image of one colour, the
    region is made lighter or darker instead. Anomalies in a grey image are grey.

    Args:
        image: uint8 RGB ``[height, width, 3]``; not changed.
        recipe: one of `RECIPES`.
        other: reads another normal image; None if there is none.
    """
    make, is_grey = RECIPES[recipe], bool((image == image[..., :1]).all())
    wanted = max(VISIBLE, CONTRAST * usual_contrast(image))
    best, most = None, float(VISIBLE)
    for _ in range(ATTEMPTS):
        edit = make(image, other, rng)
        if is_grey:
            edit = edit._replace(pixels=_grey(edit.pixels))
        changed = _changed(image, edit)
        if (levels := _levels_seen(image, edit, changed)) >= most:
            best, most = (edit, changed), levels
        if most >= wanted:
            break
    if best is None:
        edit = _shade(image, edit, rng)
        best = edit, _changed(image, edit)
    return _put(image, *best)


def usual_contrast(image: np.ndarray) -> float:
    """Median difference between neighbouring places of an image, uint8 RGB ``[height, width, 3]``, in levels."""
    small = _smoothed(image, scale_of(image))
    steps = [min(APART, side - 1) for side in small.shape[:2]]
    down, across = (
        (small[steps[0] :], small[: small.shape[0] - steps[0]]),
        (small[:, steps[1] :], small[:, : -steps[1] or None]),
    )
    return float(np.median(np.concatenate([np.abs(one - two).max(axis=2).ravel() for one, two in (down, across)])))


def _changed(image: np.ndarray, edit: Edit) -> np.ndarray:
    """The pixels that an edit changes, by themselves or on average around them: bool of the shape of its region."""
    levels = cv2.absdiff(np.ascontiguousarray(image[edit.window]), edit.pixels).max(axis=2)
    levels[~edit.region] = 0
    smooth = _enlarged(_smoothed(levels, scale_of(image)), levels.shape)
    changed: np.ndarray = ((levels > LEVEL) | (smooth > LEVEL)) & edit.region
    return changed


def _levels_seen(image: np.ndarray, edit: Edit, changed: np.ndarray) -> float:
    """Smoothed difference between an anomaly and the original image, in levels.

    0 if it covers too little or too much of the image.
    """
    if not LEAST <= np.count_nonzero(changed) / (image.shape[0] * image.shape[1]) <= MOST:
        return 0.0
    before, scale = image[edit.window], scale_of(image)
    after = np.where(changed[..., None], edit.pixels, before)
    levels = np.abs(_smoothed(before, scale) - _smoothed(after, scale)).max(axis=2)
    weights = cv2.resize(changed.astype(np.float32), levels.shape[::-1], interpolation=cv2.INTER_AREA)
    return float((levels * weights).sum() / weights.sum())


def _put(image: np.ndarray, edit: Edit, changed: np.ndarray) -> Synthetic:
    made, mask = image.copy(), np.zeros(image.shape[:2], dtype=bool)
    made[edit.window][changed] = edit.pixels[changed]
    mask[edit.window] = changed
    return Synthetic(made, mask, edit.uses_other)


def _smoothed(pixels: np.ndarray, scale: float) -> np.ndarray:
    """Pixels as float32, smoothed and reduced by ``scale``, the size relative to an image of 256 x 256."""
    rows, columns = (max(round(side / max(scale, 1)), 1) for side in pixels.shape[:2])
    small = cv2.resize(np.ascontiguousarray(pixels), (columns, rows), interpolation=cv2.INTER_AREA)
    smooth: np.ndarray = cv2.GaussianBlur(small.astype(np.float32), (0, 0), REACH * min(scale, 1))
    return smooth


def _enlarged(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The result of `_smoothed` enlarged to full size."""
    enlarged: np.ndarray = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return enlarged


def _shade(image: np.ndarray, edit: Edit, rng: Generator) -> Edit:
    """An edit of the same region that makes the image lighter where it is dark and darker where it is light."""
    before = image[edit.window].astype(np.float32)
    shift = np.float32(rng.uniform(*SHADES))
    region = edit.region.copy()
    if not region.any():
        region[region.shape[0] // 2, region.shape[1] // 2] = True
    pixels = np.where(before < 128, before + shift, before - shift)
    return Edit(edit.top, edit.left, to_bytes(pixels), region)


def _grey(pixels: np.ndarray) -> np.ndarray:
    grey: np.ndarray = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return grey
