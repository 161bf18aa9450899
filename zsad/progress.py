"""Progress of long work: a bar on a terminal, a line now and then in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import Self, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
LOG_INTERVAL_SECONDS = 10.0
TENTHS = 10

logger = logging.getLogger(__name__)


def progress(items: Iterable[Item], *, total: int, label: str) -> Iterator[Item]:
    """Yield ``items``; show a bar if standard error is a terminal, and log how far it is and for how much longer."""
    start = logged = time.monotonic()
    for done, item in enumerate(tqdm(items, total=total, desc=label, disable=None, leave=False), start=1):
        yield item
        now = time.monotonic()
        if now - logged >= LOG_INTERVAL_SECONDS or done == total:
            logged = now
            elapsed = now - start
            logger.info(
                "%s: %d of %d, %.1f s, about %.0f s left", label, done, total, elapsed, elapsed / done * (total - done)
            )


class Progress:
    """A bar on a terminal, and a line in the log every tenth of the way; a context manager.

    Args:
        name: what is going on, e.g. ``"downloading model 'sam-vit-b'"``.
        bar: show a bar if standard error is a terminal.
    """

    def __init__(self, name: str, *, bar: bool) -> None:
        self._name = name
        self._logged = 0  # tenths
        self._bar = tqdm(desc=name, unit="B", unit_scale=True, leave=False, disable=None if bar else True)
        self._total: int | None = None
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def start(self, total: int | None, done: int = 0) -> None:
        """Begin, or begin again, with what is done already, in bytes; ``total`` is None if unknown."""
        self._total = self._bar.total = total
        self._done = self._bar.n = done

    def add(self, amount: int) -> None:
        """Count some more bytes."""
        self._done += amount
        self._bar.update(amount)
        if self._total:
            self._log(TENTHS * self._done // self._total)

    def _log(self, tenths: int) -> None:
        if tenths > self._logged:
            self._logged = tenths
            logger.info("%s: %d %% of %d bytes", self._name, 100 * tenths // TENTHS, self._total)
