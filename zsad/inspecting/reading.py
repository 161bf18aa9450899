"""Read photographs as the workflow does, some of them ahead of their use."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from zsad.data.images import read_image
from zsad.data.pixels import eight_bit_rgb
from zsad.errors import DataError

AHEAD = 2  # photographs that each thread may read ahead
COLOURS = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


def pixels_of(image: str | Path | np.ndarray, white: float | None) -> np.ndarray:
    """The pixels of a photograph, uint8 RGB ``[height, width, 3]``, upright.

    Args:
        image: a file, or an array ``[height, width]`` (grey) or ``[height, width, 3]`` (RGB) of uint8 or uint16; other
            numbers are taken as `zsad.data.pixels.eight_bit_rgb` says.
        white: see `zsad.data.images.read_image`.

    Raises:
        DataError: the file cannot be read, or the array is not a photograph.
    """
    if isinstance(image, (str, Path)):
        return read_image(image, white=white)
    if not isinstance(image, np.ndarray):
        raise DataError(f"a photograph must be a path or an array, not {type(image).__name__}; give one of these")
    grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == COLOURS)
    if not grey or image.size == 0 or image.dtype.kind not in "uif":
        raise DataError(
            f"the photograph is an array of {image.dtype} of shape {list(image.shape)}; give uint8 or uint16 values "
            "[height, width] or [height, width, 3]"
        )
    return eight_bit_rgb(image, "the photograph", white)


def read_ahead(items: Iterable[Item], read: Callable[[Item], Result]) -> Iterator[Result]:
    """Yield the result of ``read`` for every item, in order; threads, one for each core, read a few items ahead."""
    threads = cores()
    waiting = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="read photographs") as pool:
        running: deque[Future[Result]] = deque()
        try:
            for item in islice(waiting, AHEAD * threads):
                running.append(pool.submit(read, item))
            while running:
                done = running.popleft().result()
                running.extend(pool.submit(read, item) for item in islice(waiting, 1))
                yield done
        finally:
            for future in running:
                future.cancel()


def cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
