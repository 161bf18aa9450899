"""Every image of a category decoded once, before anything is computed from it: what it is, or why it is left out.

Few images are in memory at a time: as many as there are threads.
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
NAMED = 20  # unreadable images that one sentence names


class Reading(NamedTuple):
    """What one image turned out to be.

    Attributes:
        height, width: pixels, upright; 0 if it cannot be read.
        sha256: of the file's bytes; empty if it cannot be read.
        failure: why it cannot be read, a sentence; empty if it can.
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
        white: as of `zsad.data.images.read_image`.
        bounds: an image out of them counts as one that cannot be read.

    Raises:
        DataError: there is too little memory, or an image that was listed is gone.
    """
    with ThreadPoolExecutor(threads) as pool:
        return [within(bounds, reading) for reading in pool.map(partial(_reading, white=white), paths)]


def within(bounds: Bounds, reading: Reading) -> Reading:
    """The reading of an image; one that failed if the image is out of bounds."""
    if reading.failure or not (failure := bounds.failure(reading.path, reading.height, reading.width)):
        return reading
    return Reading(reading.path, failure=failure)


def failed(readings: Iterable[Reading]) -> list[Reading]:
    """Those that cannot be read."""
    return [reading for reading in readings if reading.failure]


def complaint(failures: Sequence[Reading], category: str, *, can_skip: bool = True) -> str:
    """One sentence about all images that cannot be read or are out of bounds, with what can be done.

    Args:
        category: whose images they are.
        can_skip: whether they may be left out by the configuration.
    """
    or_skip = f", or set dataset.unreadable to '{SKIP}'" if can_skip else ""
    if len(failures) == 1:
        return f"{failures[0].failure}{or_skip}"
    named = "; ".join(reason_of(reading.failure) for reading in failures[:NAMED])
    more = f"; and {len(failures) - NAMED} more, which the log of this step names" if len(failures) > NAMED else ""
    return (
        f"{len(failures)} images of {category} cannot be used: replace them{',' if can_skip else ' or'} take them out "
        f"of the folder{or_skip}: {named}{more}"
    )


def all_unreadable(images: int, category: str, first: str) -> str:
    """The sentence for a category of whose images to inspect not one can be read."""
    return f"not one of the {images} test images of category '{category}' can be used; the first: {first}"


def reason_of(failure: str) -> str:
    """What is wrong, without what to do."""
    return failure.partition("; ")[0]


def write_unreadable(path: Path, failures: Iterable[Reading]) -> None:
    """Write the list of images that are left out, with the reason of each; a header alone if there is none."""
    write_table(path, COLUMNS, [(reading.path.as_posix(), reading.failure) for reading in failures])


def read_unreadable(path: Path) -> dict[Path, str]:
    """Why each image is left out, by its path.

    Raises:
        DataError: absent, changed after it was made, or no such list.
    """
    rows = read_table(path, COLUMNS, what="list of unreadable images")
    return {Path(row["path"]): row["reason"] for row in rows}


def skipped_text(lists: Mapping[str, Path]) -> str:
    """What to say at the end of a run of the images that were left out; empty if there are none.

    Args:
        lists: of images that are left out, by category; one that is not made yet counts for nothing.
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
    return f"{they} cannot be used; why stands in {where}"


def _reading(path: Path, white: float | None) -> Reading:
    try:
        return Reading(path, *image_facts(path, white))
    except MemoryShortageError:
        raise
    except DataError as error:
        if not os.path.lexists(path):  # it was there when the folder was listed
            raise
        return Reading(path, failure=str(error))
