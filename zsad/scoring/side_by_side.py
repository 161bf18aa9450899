"""Threads that compute side by side, while the libraries beneath them use no threads of their own.

A library that shares out every product of a few milliseconds has its threads meet as often, and those of torch, once
they have worked, spin for a while in the place of others. Threads of Python that take an image each meet far less. For
pairs of images of 784 patches and 384 channels on two cores, product and both minima take 2.0 ms and not 2.1 ms, and
where torch's threads were in the way, as in `mutual`, in place of 2.9 ms. The result does not depend on the number of
threads. They work at once as long as they are within numpy, which leaves the interpreter to others meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from zsad.lazy import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class SideBySide:
    """Applies a function to items.

    Attributes:
        threads: how many items at a time.
    """

    threads = 1

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """What the function returns for each item, in order."""
        return [function(item) for item in items]


class _InThreads(SideBySide):
    def __init__(self, pool: ThreadPoolExecutor, threads: int) -> None:
        self._pool, self.threads = pool, threads

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        listed = list(items)
        return list(self._pool.map(function, listed)) if len(listed) > 1 else [function(item) for item in listed]


ONE_BY_ONE = SideBySide()


@contextmanager
def libraries_in_one_thread() -> Iterator[SideBySide]:
    """As many threads as torch may use, which for the length of the block, as numpy, uses none but its caller's.

    Threads of Python are meant for functions whose time goes into numpy.
    """
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    if threads == 1:
        yield ONE_BY_ONE
        return
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            yield _InThreads(pool, threads)
    finally:
        torch.set_num_threads(threads)
