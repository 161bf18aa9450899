"""Images read, decoded, turned and resized ahead of the network, in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from types import ModuleType
from typing import NamedTuple, Self

import cv2
import numpy as np

from zsad.data.images import read_image
from zsad.errors import DataError
from zsad.features.views import variants

AHEAD = 4  # images that each worker may be ahead of the network


class Source(NamedTuple):
    """An image file, and the view of it that is wanted.

    Attributes:
        path: the file.
        sha256: its digest in the list of images.
        view: see `zsad.features.views`.
        first: index of the first of the images that the view makes of it.
        white: of the values in the file, by the list of images.
    """

    path: str
    sha256: str
    view: str
    first: int
    white: float | None = None


class Loader:
    """Worker processes that read images; a context manager.

    They come from a server process that has used neither threads nor a GPU. Copies of this process would not be safe:
    OpenCV, torch and CUDA all hang in a copy of a process in which they have run.

    Args:
        workers: number of processes; 0 reads each image when it is asked for, in this process.
        in_turns: whether workers and network take turns, each with all cores. Where they share the cores this is faster
            than side by side: the threads of a matrix product wait for the slowest of them, so that one worker on one
            core holds up all.
    """

    def __init__(self, workers: int, *, in_turns: bool = False) -> None:
        self.workers = workers
        self._in_turns = in_turns
        self._executor: Executor | None = None

    def __enter__(self) -> Self:
        if self.workers:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([__name__, "torch"])
            self._executor = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_as_worker)
            with _without_main():
                # A process starts with a task for which none is idle. They get ready while the model is loaded.
                for _ in range(self.workers):
                    self._executor.submit(os.getpid)
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def prepared(
        self, sources: Sequence[Source], prepare: Callable[[np.ndarray], np.ndarray]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the index and the prepared image of every variant of every source, in order.

        Args:
            prepare: uint8 RGB ``[height, width, 3]`` to what the network takes.

        Raises:
            DataError: an image is unreadable, or has changed since it was listed; or a worker was killed.
        """
        for source, images in zip(sources, self._results(sources, prepare), strict=True):
            yield from enumerate(images, start=source.first)

    def _results(
        self, sources: Sequence[Source], prepare: Callable[[np.ndarray], np.ndarray]
    ) -> Iterator[list[np.ndarray]]:
        if self._executor is None:
            yield from (prepared_variants(source, prepare) for source in sources)
            return
        waiting = iter(sources)
        running: deque[Future[list[np.ndarray]]] = deque()
        try:
            for _ in sources:
                if not (self._in_turns and running):
                    for source in islice(waiting, AHEAD * self.workers - len(running)):
                        running.append(self._executor.submit(prepared_variants, source, prepare))
                    if self._in_turns:
                        wait(running)
                yield running.popleft().result()
        except BrokenProcessPool:
            raise DataError(
                "a process that reads images was killed, perhaps for want of memory; "
                "give the job more memory, or lower extraction.workers"
            ) from None


def prepared_variants(source: Source, prepare: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    """The images that the source's view makes of it, prepared for the network.

    Raises:
        DataError: the file is unreadable or has changed.
    """
    image = read_image(source.path, source.sha256, source.white)
    return [prepare(variant.of(image)) for variant in variants(source.view)]


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module from new processes, which would run it again: a script of Snakemake is not made for that."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _as_worker() -> None:
    """One thread a worker: there are as many workers as there are cores to spare, and the network has the others."""
    cv2.setNumThreads(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    threading.Thread(target=_end_with_the_job, daemon=True).start()


def _end_with_the_job() -> None:
    """End this process when the job is gone: one that is killed outright cannot send its workers away."""
    job = multiprocessing.parent_process()
    if job is not None:
        job.join()
        os._exit(1)
