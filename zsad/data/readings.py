"""Decode every image of a category once, before anything is computed from it: its facts, or why it is left out.

At most as many images as threads are in memory at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from zsad.data.bounds import NO_BOUNDS, Bounds
from zsad.data.images import image_facts
from zsad.errors import DataError, MemoryShortageError
from zsad.files.table_digest import read_table, write_table

Policy = Literal["stop", "skip"]
STOP: Policy = "stop"
SKIP: Policy = "skip"
COLUMNS = ("path", "reason")
NAMED = 20  # unreadable images named in one message


class Reading(NamedTuple):
    """The facts of one decoded image.

    Attributes:
        height, width: pixels, upright; 0 if it cannot be read.
        sha256: of the file's bytes; empty if it cannot be read.
        failure: why it cannot be read, a sentence; empty if it can be read.
    """

    path: Path
    height: int = 0
    width: int = 0
    sha256: str = ""
    failure: str = ""


def read_all(
    paths: Iterable[Path], threads: int = 1, white: float | None = None, bounds: Bounds = NO_BOUNDS
) -> list[Reading]:
    """Decode images, in the order given.

    Args:
        white: as for `zsad.data.images.read_image`.
        bounds: an image that exceeds them counts as unreadable.

    Raises:
        DataError: there is too little memory, or a listed image no longer exists.
    """
    with ThreadPoolExecutor(threads) as pool:
        return [within(bounds, reading) for reading in pool.map(partial(_reading, white=white), paths)]


def within(bounds: Bounds, reading: Reading) -> Reading:
    """Return a reading; a failed one if the image exceeds the limits."""
    if reading.failure or not (failure := bounds.failure(reading.path, reading.height, reading.width)):
        return reading
    return Reading(reading.path, failure=failure)


def failed(readings: Iterable[Reading]) -> list[Reading]:
    """Return the readings of images that cannot be read."""
    return [reading for reading in readings if reading.failure]


def complaint(failures: Sequence[Reading], category: str, *, can_skip: bool = True) -> str:
    """One message about all images that cannot be read or exceed the limits, with the fix.

    Args:
        category: of the images.
        can_skip: whether the configuration can leave them out.
    """
    or_skip = f", or set dataset.unreadable to '{SKIP}'" if can_skip else ""
    if len(failures) == 1:
        return f"{failures[0].failure}{or_skip}"
    named = "; ".join(reason_of(reading.failure) for reading in failures[:NAMED])
    more = f"; and {len(failures) - NAMED} more, named in the log of this step" if len(failures) > NAMED else ""
    return (
        f"{len(failures)} images of {category} cannot be used: replace them{',' if can_skip else ' or'} remove them "
        f"from the folder{or_skip}: {named}{more}"
    )


def all_unreadable(images: int, category: str, first: str) -> str:
    """The message for a category with no readable test image."""
    return f"none of the {images} test images of category '{category}' can be used; the first: {first}"


def reason_of(failure: str) -> str:
    """The cause in a message, without the fix."""
    return failure.partition("; ")[0]


def write_unreadable(path: Path, failures: Iterable[Reading]) -> None:
    """Write the list of images that are left out, with the reason for each; only a header if there is none."""
    write_table(path, COLUMNS, [(reading.path.as_posix(), reading.failure) for reading in failures])


def read_unreadable(path: Path) -> dict[Path, str]:
    """Read why each image is left out, by its path.

    Raises:
        DataError: it does not exist, was changed after it was written, or is not such a list.
    """
    rows = read_table(path, COLUMNS, what="list of unreadable images")
    return {Path(row["path"]): row["reason"] for row in rows}


def skipped_text(lists: Mapping[str, Path]) -> str:
    """The message at the end of a run about images that were left out; empty if there are none.

    Args:
        lists: files of images that are left out, by category; a file that does not exist yet is ignored.
    """
    counts = {}
    for category, path in lists.items():
        if path.is_file() and (count := len(read_unreadable(path))):
            counts[category] = count
    if not counts:
        return ""
    total = sum(counts.values())
    they = "1 image was left out, since it" if total == 1 else f"{total} images were left out, since they"
    where = ", ".join(lists[category].as_posix() for category in counts)
    return f"{they} cannot be used; for the reasons see {where}"


def _reading(path: Path, white: float | None) -> Reading:
    try:
        return Reading(path, *image_facts(path, white))
    except MemoryShortageError:
        raise
    except DataError as error:
        if not os.path.lexists(path):  # it existed when the folder was listed
            raise
        return Reading(path, failure=str(error))
