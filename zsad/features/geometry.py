"""How an image is laid out on a patch grid, by every backbone alike.

The aspect ratio is kept, nothing is cropped or padded: the short side becomes ``resolution`` pixels and the long side
the nearest multiple of the patch. The grid then covers the image edge to edge, so that patch ``(r, c)`` of ``R x C``
is centred at ``((r + 1/2) height / R, (c + 1/2) width / C)`` of the original image, as `zsad.maps` reads it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image


def patch_grid(height: int, width: int, resolution: int, patch: int) -> tuple[int, int]:
    """Rows and columns of the patch grid of an image.

    Args:
        height, width: the image, pixels.
        resolution: short side after resizing, pixels; a multiple of ``patch``.
        patch: side of a patch after resizing, pixels.
    """
    short = resolution // patch
    longer, shorter = max(height, width), min(height, width)
    # Integers, rounded half up: a floating-point tie could fall differently on two machines.
    long = (2 * longer * short + shorter) // (2 * shorter)
    return (short, long) if height <= width else (long, short)


def resized_to_grid(image: np.ndarray, resolution: int, patch: int) -> np.ndarray:
    """Resize an image so that its patch grid covers it exactly: bicubic, antialiased where it shrinks.

    Args:
        image: uint8 RGB ``[height, width, 3]``.

    Returns:
        uint8 ``[rows * patch, columns * patch, 3]`` for the ``rows, columns`` of `patch_grid`.
    """
    rows, columns = patch_grid(*image.shape[:2], resolution, patch)
    # Pillow widens the kernel on each axis that shrinks; OpenCV's area filter needs both axes to shrink.
    return np.asarray(Image.fromarray(image).resize((columns * patch, rows * patch), Image.Resampling.BICUBIC))


def nearest_multiples(resolution: int, patch: int) -> tuple[int, int]:
    """The multiples of ``patch`` on either side of ``resolution``, the lower at least one patch."""
    lower = max(resolution // patch, 1) * patch
    return lower, lower + patch
