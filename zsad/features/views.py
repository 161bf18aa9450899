"""Views: what is done to an image before its features are extracted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from zsad.data.subsets import VIEWS
from zsad.errors import ConfigError, nearest_hint

ROTATION_ANGLES = range(0, 360, 45)  # degrees, as in AnomalyDINO (Damm et al., WACV 2025, section 3)


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
        "rot180": [Variant("", lambda image: np.ascontiguousarray(image[::-1, ::-1]))],
        "rotations": [Variant(f"@{angle:03d}", partial(rotated, angle=angle)) for angle in ROTATION_ANGLES],
    }
    if view not in made:
        raise ConfigError(f"there is no view '{view}'{nearest_hint(view, VIEWS)}")
    return made[view]


def rotated(image: np.ndarray, angle: float) -> np.ndarray:
    """The image turned counter-clockwise about its middle, in its own frame; the corners show its reflection.

    Args:
        angle: degrees.
    """
    if angle % 360 == 0:
        return image
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    return cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
