"""Views: what is done to an image before its features are extracted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from zsad.data.subsets import VIEWS, angle_suffix
from zsad.errors import ConfigError, nearest_hint

ROTATION_ANGLES = range(0, 360, 45)  # degrees, as in AnomalyDINO (Damm et al., WACV 2025, section 3)
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

    Raises:
        ConfigError: there is no such view.
    """
    made = {
        "original": [Variant("", np.ascontiguousarray)],
        "hflip": [Variant("", lambda image: np.ascontiguousarray(image[:, ::-1]))],
        "vflip": [Variant("", lambda image: np.ascontiguousarray(image[::-1]))],
        "rotations": [Variant(angle_suffix(angle), partial(rotated, angle=angle)) for angle in ROTATION_ANGLES],
        **{f"rot{angle:03d}": [Variant("", partial(rotated, angle=angle))] for angle in SINGLE_ANGLES},
    }
    if view not in made:
        raise ConfigError(f"there is no view '{view}'{nearest_hint(view, VIEWS)}")
    return made[view]


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
