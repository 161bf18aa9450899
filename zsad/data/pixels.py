"""Pixel values of any type as 8-bit RGB, on scales that are the same for every image of a set.

Stretching each image to its own range would make the scores of two images incomparable. So the scale depends on the
type of the values, unless the user sets which value is white. The type does not give the range of floating-point
values; it is inferred from the values only where they are unambiguous.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zsad.errors import DataError

Level = np.integer[Any] | np.floating[Any]  # a value of a pixel

STRIP_PIXELS = 2**22  # converted at a time, so that no second copy of a large image is made
WHITE_16 = 65535
SIXTEEN_TO_EIGHT = 257  # 65535 / 255
HALF_LEVEL = 0.5 / 255  # of the range; a smaller excess of floating-point values disappears by rounding


class FloatScale(NamedTuple):
    """A common range of floating-point values.

    Attributes:
        white: its upper end.
        least: the greatest value of an image of this range is at least this. A darker image may belong to the previous
            range, with values that interpolation has moved beyond its end.
    """

    white: int
    least: float


FLOAT_SCALES = (FloatScale(1, 0), FloatScale(255, 32), FloatScale(WHITE_16, 8192))


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of an image, few enough at a time to be converted without much memory."""
    rows = max(STRIP_PIXELS // width, 1)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def eight_bit_rgb(values: np.ndarray, path: str | Path, white: float | None = None) -> np.ndarray:
    """Convert an image to uint8 ``[height, width, 3]``, rounded to the nearest level.

    Integers of 16 bits and more are divided by 257. The greatest floating-point value decides between the ranges 0..1,
    0..255 and 0..65535; ambiguous values, e.g. 1.2 or 1023, are rejected. With ``white`` both are multiplied by 255 /
    white instead, and brighter values become white, too. Values of 8 bits stay as they are.

    Args:
        values: grey ``[height, width]`` or RGB ``[height, width, 3]``; returned unchanged if there is nothing to
            convert.
        path: for messages.
        white: the value that becomes 255, above 0, for values of more than 8 bits; None for the scale of their type.

    Raises:
        DataError: a value is not finite, negative, or, without ``white``, above 65535 or of a range that is not clear.
    """
    if values.dtype == np.uint8 and values.ndim == 3 and values.flags.c_contiguous:
        return values
    levels = _levels(values, path, white)
    height, width = values.shape[:2]
    rgb = np.empty((height, width, 3), np.uint8)
    for rows in strips(height, width):
        strip = levels(values[rows])
        rgb[rows] = strip if strip.ndim == 3 else strip[..., None]
    return rgb


def _levels(values: np.ndarray, path: str | Path, white: float | None) -> Callable[[np.ndarray], np.ndarray]:
    """The function that converts values to uint8."""
    if values.dtype == np.uint8:
        return lambda strip: strip
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{path} has pixels that are NaN or infinite; replace them with numbers")
    is_float = values.dtype.kind == "f"
    if white is None and not is_float:
        _check_range(low, high, WHITE_16, path)
        return _by_type
    scale = white or _float_white(float(high))
    _check_range(low, high, scale, path, is_clipped=white is not None)
    if scale is None:
        raise DataError(
            f"{path} has floating-point values {_shown(low, high)}, which match none of the ranges 0..1, 0..255 and "
            "0..65535; set dataset.params.white to the value that is white, or save all images of the set with 8 or 16 "
            "bits per channel"
        )
    factor = 255.0 / scale
    if values.dtype == np.uint16:
        table = _scaled(np.arange(WHITE_16 + 1), factor)
        return lambda strip: table[strip]
    return lambda strip: _scaled(strip, factor)


def _check_range(low: Level, high: Level, white: float | None, path: str | Path, *, is_clipped: bool = False) -> None:
    """Reject values below 0, and above 65535 unless they are clipped; an excess within rounding is allowed."""
    slack = HALF_LEVEL if low.dtype.kind == "f" else 0.0
    if low < -slack * (white or 0) or (not is_clipped and high > WHITE_16 * (1 + slack)):
        shown = _shown(low, high)
        what, fix = (
            ("negative values", "make them 0 or more")
            if is_clipped
            else ("values outside 0..65535", "save it with 8 or 16 bits per channel")
        )
        raise DataError(f"{path} has {what} ({shown}); {fix}")


def _shown(low: Level, high: Level) -> str:
    return f"from {low:g} to {high:g}" if low.dtype.kind == "f" else f"from {low} to {high}"


def _float_white(high: float) -> int | None:
    """The end of the range that the greatest value belongs to; a value that rounds to the end is within it."""
    whites = (scale.white for scale in FLOAT_SCALES if scale.least <= high <= scale.white * (1 + HALF_LEVEL))
    return next(whites, None)


def _scaled(values: np.ndarray, factor: float) -> np.ndarray:
    return np.rint(values * factor).clip(0, 255).astype(np.uint8)


def _by_type(values: np.ndarray) -> np.ndarray:
    return ((values.astype(np.uint32) + SIXTEEN_TO_EIGHT // 2) // SIXTEEN_TO_EIGHT).astype(np.uint8)
