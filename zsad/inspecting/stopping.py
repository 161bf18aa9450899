"""Stop on request: by Ctrl-C, or by the signal with which systems end a program."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import TypeVar

Item = TypeVar("Item")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _AskedToStopError(Exception):
    """Ends a wait; it does not leave this module."""


class Stopping:
    """Whether this process has been asked to end; current work is finished first.

    A second signal has its usual effect.
    """

    def __init__(self) -> None:
        self._event = Event()
        self._waits = False
        self._before = {number: signal.getsignal(number) for number in SIGNALS}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for the signals within the block."""
        for number in SIGNALS:
            signal.signal(number, self._note)
        try:
            yield
        finally:
            self._forget()

    @property
    def is_asked(self) -> bool:
        """Whether the process has been asked to end."""
        return self._event.is_set()

    def ask(self) -> None:
        """Ask the process to end."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Wait, at most until the process is asked to end."""
        self._event.wait(seconds)

    def until_asked(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items that may need waiting, such as lines of standard input, until the process is asked to end."""
        waiting = iter(items)
        while not self.is_asked:
            try:
                self._waits = True
                item = next(waiting)
            except (StopIteration, _AskedToStopError):
                return
            finally:
                self._waits = False
            yield item

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._event.set()
        self._forget()
        if self._waits:
            raise _AskedToStopError

    def _forget(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
