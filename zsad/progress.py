"""Progress of long work: a bar on a terminal, a line every ten seconds in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
LOG_INTERVAL_SECONDS = 10.0

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
