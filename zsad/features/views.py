"""Views: what is done to an image before its features are extracted."""

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
DRAWN_ANGLES, LARGEST_DRAWN, DRAW_SEED = 30, 345.0, 42  # of SubspaceAD: how many, up to how many degrees, and the seed
SINGLE_ANGLES = (60, 72, 90, 120, 180, 240, 270, 288, 300)  # degrees; a turn of a 2- to 6-fold part onto itself


class Variant(NamedTuple):
    """One of the images that a view makes of an image.

    Attributes:
        suffix: added to the image's identifier; empty where the view makes a single image.
        of: uint8 ``[height, width, 3]`` to the same size.
    """

    suffix: str
    of: Callable[[np.ndarray], np.ndarray]


def variants(view: str) -> list[Variant]:
    """What a view makes of each image, in order.

    Three views show it at several angles:

    * ``rotations``: at 0, 45, ... 315 degrees, each by `rotated`;
    * ``rotations_anomalydino``: at the same angles, each by `rotated_as_anomalydino`;
    * ``rotations_subspacead``: as it is and at 30 angles, each by `rotated_as_subspacead`. The authors draw them anew
      for each image between 0 and 345 degrees; here they are drawn once (seed 42, as theirs), rounded to thousandths of
      a degree, and the same for all images: with one reference this is another draw of the same kind, and with several
      they share their angles.

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
    """The angles at which SubspaceAD's references are seen beside 0, in degrees, in ascending order."""
    drawn = np.random.default_rng(DRAW_SEED).uniform(0, LARGEST_DRAWN, DRAWN_ANGLES)
    return sorted(drawn.round(3).tolist())


def rotated(image: np.ndarray, angle: float) -> np.ndarray:
    """The image turned counter-clockwise about its middle, in its own frame; the corners show its reflection.

    Pixels are moved and not interpolated where the frame allows it: at half turns, and at quarter turns of a square.

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
    """The same as in the code of AnomalyDINO (Damm et al., WACV 2025): half a pixel off the middle.

    The turn is about the point ``(width / 2, height / 2)`` in a count of pixels where the middle of the first is 0,
    which moves the image by up to ``sqrt(2)`` pixels (at 180 degrees); the reflection does not repeat the outermost
    pixels. With `embedded`, the tokens of photographs of magnetic tiles that are turned so and by `rotated` have a mean
    cosine of .993 at 28 rows of patches and .988 at 56, and image scores of `memory_bank` by 2 references a rank
    correlation of .989.

    Args:
        angle: degrees.
    """
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    return cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def rotated_as_subspacead(image: np.ndarray, angle: float) -> np.ndarray:
    """The same as in the code of SubspaceAD (Lendering et al., CVPR 2026): the corners are black.

    It turns by torchvision's ``RandomRotation``: about the middle, each pixel the nearest of the image, and what the
    image does not reach black. With these 31 views in place of the 8 of `rotated`, image scores by 2 references of
    magnetic tiles (`embedded`) have a rank correlation of .83 (`memory_bank`) and .72 (`subspace`).

    Args:
        angle: degrees.
    """
    return np.asarray(Image.fromarray(image).rotate(angle, Image.Resampling.NEAREST)).copy()
