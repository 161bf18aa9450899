"""Write features to HDF5 in parallel to the computation."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from zsad.features.base import Tokens
from zsad.files.features import FeatureWriter

BATCHES_WAITING = 2  # most batches that the writer may be behind the network


class Batch(NamedTuple):
    """Pending tokens: the indices of their images, and the function that waits for them."""

    indices: Sequence[int]
    wait: Callable[[], Tokens]


class BackgroundWriter:
    """A thread that waits for tokens and stores them; a context manager.

    A failure in the thread is raised by the next `put`, or at the end of the block.

    Args:
        writer: an open feature file.
    """

    def __init__(self, writer: FeatureWriter) -> None:
        self._writer = writer
        self._queue: queue.Queue[Batch | None] = queue.Queue(BATCHES_WAITING)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="feature-writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def put(self, batch: Batch) -> None:
        """Pass a batch on; waits while too many are pending."""
        if self._failure is not None:
            raise self._failure
        self._queue.put(batch)

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            if self._failure is None:
                try:
                    self._store(batch)
                except BaseException as error:  # the thread must empty the queue, or `put` would wait for ever
                    self._failure = error

    def _store(self, batch: Batch) -> None:
        tokens = batch.wait()
        for position, index in enumerate(batch.indices):
            self._writer.write(index, tokens.patch_tokens[position], tokens.cls_tokens[position])
