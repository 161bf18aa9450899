"""CutPaste-Scar: a long, thin patch of the image, rotated and pasted elsewhere (Li et al., CVPR 2021, section 3.1)."""

from __future__ import annotations

import cv2
import numpy as np

from zsad.adaptation.pasting import Edit, Generator, Other, jitter, random_place, scale_of, to_bytes

WIDTHS = (2, 16)  # pixels of an image of 256 x 256
LENGTHS = (10, 25)
JITTER = 0.1


def scar(image: np.ndarray, other: Other | None, rng: Generator) -> Edit:
    """Cut a thin rectangle out, change its colours a little, rotate it and paste it; see `pasting.Recipe`.

    It is rotated by any angle, not only up to 45 degrees as in the paper, so that all directions occur. Sizes scale
    with the image, since those of the paper are for images of 256 x 256 pixels.
    """
    bounds = np.array(image.shape[:2])
    drawn = np.array([rng.uniform(*LENGTHS), rng.uniform(*WIDTHS)]) * scale_of(image)
    rows, columns = (min(max(round(float(side)), 1), int(bound)) for side, bound in zip(drawn, bounds, strict=True))
    top, left = random_place(image.shape, (rows, columns), rng)
    cut = jitter(image[top : top + rows, left : left + columns], rng, JITTER)
    pixels, opacity = _turned(cut, float(rng.uniform(-90, 90)))
    height, width = (min(side, int(bound)) for side, bound in zip(opacity.shape, bounds, strict=True))
    first_row, first_column = (opacity.shape[0] - height) // 2, (opacity.shape[1] - width) // 2
    middle = np.s_[first_row : first_row + height, first_column : first_column + width]
    pixels, opacity = pixels[middle], opacity[middle][..., None]
    top, left = random_place(image.shape, (height, width), rng)
    below = image[top : top + height, left : left + width]
    return Edit(top, left, to_bytes(below * (1 - opacity) + pixels * opacity), opacity[..., 0] > 0)


def _turned(pixels: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels rotated by an angle in degrees, and their opacity, float32 ``[row, column]``: 0 where there are none."""
    rows, columns = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle, 1.0)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    width, height = (
        int(np.ceil(side)) + 2 for side in (rows * sine + columns * cosine, rows * cosine + columns * sine)
    )
    turn[:, 2] += ((width - columns) / 2, (height - rows) / 2)
    turned = cv2.warpAffine(pixels, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    opacity = cv2.warpAffine(np.ones((rows, columns), np.float32), turn, (width, height), flags=cv2.INTER_LINEAR)
    return turned, opacity
