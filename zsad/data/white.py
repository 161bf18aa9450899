"""Warn if the values of a category's images of more than 8 bits do not use the range that they are scaled by.

Cameras of 10, 12 or 14 bits often save their values unchanged in 16-bit files, where the range of the type would leave
only a few grey levels. Each image's own range must not be used, since scores of images would not be comparable then:
``dataset.params.white`` applies to all images. This module suggests its value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zsad.data.pixels import HALF_LEVEL, WHITE_16

SAMPLED = 3  # images that are decoded even if only headers are requested
DARK = 4  # least ratio of the range to the greatest value for a warning
LEVELS = 256


def unused_range(greatest: Mapping[str, float], white: float | None) -> Iterator[str]:
    """Yield a sentence if no image comes near the end of the range.

    Args:
        greatest: the greatest integer value of each image of more than 8 bits that was decoded, by name.
        white: the end of the range, if it is configured; None for 65535.
    """
    end = white or WHITE_16
    most = int(max(greatest.values(), default=0))
    if not most or most * DARK >= end:
        return
    full = 2 ** max(most.bit_length(), 8) - 1
    levels = round(most * (LEVELS - 1) / end) + 1
    yield (
        f"no value is above {most} in the {len(greatest)} decoded images of more than 8 bits per channel, where "
        f"white is {end:g}: they become {levels} of {LEVELS} grey levels; if white is "
        f"{full}, set dataset.params.white to it"
    )


def clipped(greatest: Mapping[str, float], white: float | None) -> list[str]:
    """The images with values above white, beyond rounding."""
    return [name for name, value in greatest.items() if white and value > white * (1 + HALF_LEVEL)]


def sample(names: list[str]) -> list[str]:
    """A fixed selection of a few names: the first, the last, and some evenly between."""
    if len(names) <= SAMPLED:
        return names
    return [names[index * (len(names) - 1) // (SAMPLED - 1)] for index in range(SAMPLED)]
