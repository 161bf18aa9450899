"""The time that a job spends besides its work: starting, imports, loading a model, hashing files.

Seconds are processor time of all threads, so that other work on the machine does not count. A job reports them in one
line of its log, which `benchmarks/overhead.py` adds up over the jobs of a run.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

START, IMPORTS, MODEL, HASHES, WORK = "to start", "to import", "to load a model", "to hash files", "of work"
KINDS = (START, IMPORTS, MODEL, HASHES, WORK)
LINE = re.compile(r" zsad\.\S+: seconds of the processor: (.+)$")
PART = re.compile(r"(\d+\.\d+) ([a-z ]+)")


class Spending:
    """Seconds by kind of work; time counted within another count only belongs to the inner one.

    Counts follow the main thread: other threads' time belongs to the main thread's current kind.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._inner: list[float] = []  # seconds counted within each of the active counts

    @contextmanager
    def counted(self, kind: str) -> Iterator[None]:
        """Count the block as time of a kind."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        begun = time.process_time()
        self._inner.append(0.0)
        try:
            yield
        finally:
            spent = time.process_time() - begun
            self._seconds[kind] = self._seconds.get(kind, 0.0) + spent - self._inner.pop()
            if self._inner:
                self._inner[-1] += spent

    def seconds(self, kind: str) -> float:
        """Counted so far."""
        return self._seconds.get(kind, 0.0)


SPENDING = Spending()
counted = SPENDING.counted


def described(start: float, total: float, spending: Spending = SPENDING) -> str:
    """The seconds of a job by kind of work, for its log.

    Args:
        start: seconds from the start of the process to that of the work, including the imports of the job's script.
        total: seconds of the process and of its finished children.
    """
    kinds = {kind: spending.seconds(kind) for kind in (IMPORTS, MODEL, HASHES)}
    parts = {START: start, **kinds, WORK: max(total - start - sum(kinds.values()), 0.0)}
    return "seconds of the processor: " + ", ".join(f"{seconds:.3f} {kind}" for kind, seconds in parts.items())


def read_line(line: str) -> Mapping[str, float] | None:
    """The seconds by kind of work in a line of a log; None for other lines."""
    found = LINE.search(line)
    return None if found is None else {kind: float(seconds) for seconds, kind in PART.findall(found[1])}
