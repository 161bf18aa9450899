"""Read, decode, rotate and resize images ahead of the network, in separate processes."""

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
    """An image file, and the requested view of it.

    Attributes:
        path: the file.
        sha256: its digest in the list of images.
        view: see `zsad.features.views`.
        first: index of the first image of the view.
        white: white value of the file, from the list of images.
    """

    path: str
    sha256: str
    view: str
    first: int
    white: float | None = None


class Loader:
    """Worker processes that read images; a context manager.

    They are forked from a server process that has used neither threads nor a GPU. Forks of this process would not be
    safe: OpenCV, torch and CUDA all hang in a fork of a process in which they have run.

    Args:
        workers: number of processes; 0 reads each image on request, in this process.
        in_turns: whether workers and network take turns, each with all cores. If they share the cores this is faster
            than running in parallel: the threads of a matrix product wait for the slowest one, so that one worker on
            one core delays all.
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
                # A process starts with a task if none is idle. They start while the model is loaded.
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
            prepare: converts uint8 RGB ``[height, width, 3]`` to the network's input.

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
                "a process that reads images was killed, perhaps because memory ran out; "
                "give the job more memory, or lower extraction.workers"
            ) from None


def prepared_variants(source: Source, prepare: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    """The images of the source's view, prepared for the network.

    Raises:
        DataError: the file is unreadable or has changed.
    """
    image = read_image(source.path, source.sha256, source.white)
    return [prepare(variant.of(image)) for variant in variants(source.view)]


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module from new processes, which would run it again: Snakemake's scripts do not support that."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _as_worker() -> None:
    """Use one thread per worker: there are as many workers as free cores, and the network uses the others."""
    cv2.setNumThreads(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    threading.Thread(target=_end_with_the_job, daemon=True).start()


def _end_with_the_job() -> None:
    """End this process when the job is gone: a killed job cannot stop its workers."""
    job = multiprocessing.parent_process()
    if job is not None:
        job.join()
        os._exit(1)
