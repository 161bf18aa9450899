"""Views: transformations of an image before its features are extracted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from zsad.data.subsets import VIEWS, angle_suffix
from zsad.errors import ConfigError, nearest_hint

ROTATION_ANGLES = range(0, 360, 45)  # degrees, as in AnomalyDINO (Damm et al., WACV 2025, section 3)
DRAWN_ANGLES, LARGEST_DRAWN, DRAW_SEED = 30, 345.0, 42  # of SubspaceAD: count, greatest angle (degrees), seed
SINGLE_ANGLES = (60, 72, 90, 120, 180, 240, 270, 288, 300)  # degrees; symmetries of 2- to 6-fold objects


class Variant(NamedTuple):
    """One of the images in a view of an image.

    Attributes:
        suffix: added to the image's identifier; empty if the view has a single image.
        of: transforms uint8 ``[height, width, 3]`` to the same size.
    """

    suffix: str
    of: Callable[[np.ndarray], np.ndarray]


def variants(view: str) -> list[Variant]:
    """The images of a view, in order.

    Three views show it at several angles:

    * ``rotations``: at 0, 45, ... 315 degrees, each by `rotated`;
    * ``rotations_anomalydino``: at the same angles, each by `rotated_as_anomalydino`;
    * ``rotations_subspacead``: unchanged and at 30 angles, each by `rotated_as_subspacead`. The authors sample them
      again for each image between 0 and 345 degrees; here they are sampled once (seed 42, like theirs), rounded to
      thousandths of a degree, and equal for all images: with one reference this is another sample of the same kind, and
      several references share their angles.

    Raises:
        ConfigError: there is no such view.
    """
    made = {
        "original": [Variant("", np.ascontiguousarray)],
        "hflip": [Variant("", lambda image: np.ascontiguousarray(image[:, ::-1]))],
        "vflip": [Variant("", lambda image: np.ascontiguousarray(image[::-1]))],
        "rotations": _turned(rotated, ROTATION_ANGLES),
        "rotations_anomalydino": _turned(rotated_as_anomalydino, ROTATION_ANGLES),
        "rotations_subspacead": _turned(rotated_as_subspacead, [0.0, *drawn_angles()]),
        **{f"rot{angle:03d}": [Variant("", partial(rotated, angle=angle))] for angle in SINGLE_ANGLES},
    }
    if view not in made:
        raise ConfigError(f"there is no view '{view}'{nearest_hint(view, VIEWS)}")
    return made[view]


def _turned(turn: Callable[..., np.ndarray], angles: Iterable[float]) -> list[Variant]:
    return [Variant(angle_suffix(angle), partial(turn, angle=angle)) for angle in angles]


def drawn_angles() -> list[float]:
    """The angles of SubspaceAD's references besides 0, in degrees, in ascending order."""
    drawn = np.random.default_rng(DRAW_SEED).uniform(0, LARGEST_DRAWN, DRAWN_ANGLES)
    return sorted(drawn.round(3).tolist())


def rotated(image: np.ndarray, angle: float) -> np.ndarray:
    """The image rotated counter-clockwise about its middle, in its own frame; the corners show its reflection.

    Pixels are moved without interpolation if possible: at half turns, and at quarter turns of a square.

    Args:
        angle: degrees.
    """
    height, width = image.shape[:2]
    quarters, rest = divmod(angle % 360, 90)
    if rest == 0 and (quarters % 2 == 0 or height == width):
        return np.ascontiguousarray(np.rot90(image, int(quarters)))
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    return cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def rotated_as_anomalydino(image: np.ndarray, angle: float) -> np.ndarray:
    """The rotation in the code of AnomalyDINO (Damm et al., WACV 2025): half a pixel off the middle.

    It rotates about the point ``(width / 2, height / 2)`` in pixel coordinates where the middle of the first pixel is
    0, which moves the image by up to ``sqrt(2)`` pixels (at 180 degrees); the reflection does not repeat the outermost
    pixels. With `embedded`, the tokens of photographs of magnetic tiles with this rotation and with `rotated` have a
    mean cosine of .993 at 28 rows of patches and .988 at 56, and image scores of `memory_bank` with 2 references have a
    rank correlation of .989.

    Args:
        angle: degrees.
    """
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    return cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def rotated_as_subspacead(image: np.ndarray, angle: float) -> np.ndarray:
    """The rotation in the code of SubspaceAD (Lendering et al., CVPR 2026): the corners are black.

    It uses torchvision's ``RandomRotation``: about the middle, nearest-neighbour interpolation, and black outside of
    the image. With these 31 views instead of the 8 of `rotated`, image scores with 2 references of magnetic tiles
    (`embedded`) have a rank correlation of .83 (`memory_bank`) and .72 (`subspace`).

    Args:
        angle: degrees.
    """
    return np.asarray(Image.fromarray(image).rotate(angle, Image.Resampling.NEAREST)).copy()
