"""Progress of long work: lines in the log of a fixed form, which can be read back, and a bar on a terminal.

Finished work is counted in units of work (pixels, patches, bytes), since images differ in size. The remaining time is
shown once it can be estimated, from the work done since the first result: the time before the first result does not
predict that of the others.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

Item = TypeVar("Item")
Clock = Callable[[], float]

WATCHED = "ZSAD_WATCHED"  # set for jobs whose logs another process shows: they do not write to the terminal
ROUNDING = 1e-9  # of sums of work
LEAST_SHARE, LEAST_SECONDS = 0.05, 3.0  # of the work and of time before an estimate
BURST_SHARE = 0.02  # of the time before the first result; results within it count as the first
SHORTEST_INTERVAL, LONGEST_INTERVAL, INTERVAL_SHARE = 1.0, 10.0, 0.05  # seconds between lines, share of the elapsed
BAR = "{desc}: {percentage:3.0f} %|{bar}|{postfix}"
LINE = re.compile(
    r" zsad\.progress: (?P<label>.+): (?P<percent>\d+) %(?:, (?P<done>\d+) of (?P<total>\d+))?, (?P<seconds>\d+\.\d) s"
    r"(?:, about (?P<left>\d+) s left)?"
)

logger = logging.getLogger(__name__)


def is_watched() -> bool:
    """Whether another process shows what this one logs, so that it writes nothing to the terminal."""
    return os.environ.get(WATCHED) == "1"


def is_shown() -> bool:
    """Whether there is a terminal to show a bar on, which no other process writes to."""
    return not is_watched() and sys.stderr.isatty()


def _bar(**options: Any) -> tqdm:
    from tqdm import tqdm  # a slow import, needed only for a bar

    return tqdm(leave=False, **options)


class Report(NamedTuple):
    """The progress of a task.

    Attributes:
        label: name of the task.
        percent: of the work that is done, rounded down.
        done, total: items; None if they are not counted.
        seconds: since the beginning.
        left: estimated remaining seconds; None if unknown or finished.
    """

    label: str
    percent: int
    done: int | None
    total: int | None
    seconds: float
    left: int | None = None

    def __str__(self) -> str:
        items = "" if self.total is None else f", {self.done} of {self.total}"
        left = "" if self.left is None else f", about {self.left} s left"
        return f"{self.label}: {self.percent} %{items}, {self.seconds:.1f} s{left}"

    @classmethod
    def of_line(cls, line: str) -> Report | None:
        """The report in a line of a log; None for other lines."""
        if (match := LINE.search(line)) is None or match.end() != len(line):
            return None
        done, total, left = (None if match[name] is None else int(match[name]) for name in ("done", "total", "left"))
        return cls(match["label"], int(match["percent"]), done, total, float(match["seconds"]), left)


class Pace:
    """Estimates the remaining time from the work done since the first result.

    Args:
        total: units of work.
    """

    def __init__(self, total: float) -> None:
        self._total = total
        self._begun: float | None = None  # seconds at the first result
        self._first: tuple[float, float] | None = None  # seconds, units

    def left(self, seconds: float, done: float) -> float | None:
        """Estimated remaining seconds; None before 5 % of the work and 3 s are done.

        Args:
            seconds: since the work began, not decreasing. The first call is for the first result.
            done: units of work.
        """
        if self._begun is None:
            self._begun = seconds
        if self._first is None or seconds - self._begun <= BURST_SHARE * self._begun:
            self._first = seconds, done  # results that came together with the first took no extra time
        spent, made = seconds - self._first[0], done - self._first[1]
        if spent < LEAST_SECONDS or made < LEAST_SHARE * self._total or done >= self._total:
            return None
        return spent / made * (self._total - done)


def _interval(elapsed: float) -> float:
    """Seconds between two lines in the log, when work goes on for some seconds."""
    return min(max(INTERVAL_SHARE * elapsed, SHORTEST_INTERVAL), LONGEST_INTERVAL)


class Meter:
    """Counts work and reports it: a line in the log at the beginning, regularly, and at the end; a context manager.

    Args:
        label: name of the task.
        work: units in total.
        items: number of items in total; None if they are not counted.
    """

    def __init__(self, label: str, work: float, items: int | None = None, clock: Clock = time.monotonic) -> None:
        self._label, self._work, self._items, self._clock = label, work, items, clock
        self._done, self._done_items = 0.0, 0
        self._left: float | None = None
        self._ended = False
        self._pace = Pace(work)
        self._start = self._logged = clock()
        self._bar = _bar(total=work, desc=label, bar_format=BAR) if is_shown() else None
        logger.info("%s", self._report(0.0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, work: float, items: int = 1) -> None:
        """Count further work."""
        now = self._clock()
        elapsed = now - self._start
        self._done += work
        self._done_items += items
        self._left = self._pace.left(elapsed, self._done)
        interval = _interval(elapsed)
        ends = self._is_done() and not self._ended
        if ends or (now - self._logged >= interval and not self._ended):
            self._logged, self._ended = now, ends
            logger.info("%s", self._report(elapsed))
        if self._bar is not None:
            self._show(self._bar, self._report(elapsed), work)

    def _is_done(self) -> bool:
        return self._done >= self._work * (1 - ROUNDING) if self._items is None else self._done_items == self._items

    def _report(self, elapsed: float) -> Report:
        share = 1.0 if self._is_done() else min(self._done / self._work, 0.99) if self._work else 0.0
        done = None if self._items is None else self._done_items
        left = None if self._left is None else round(self._left)
        # Rounding must not make 28 of 57.
        return Report(self._label, int(100 * share + 1e-6), done, self._items, elapsed, left)

    def _show(self, bar: tqdm, report: Report, work: float) -> None:
        left = "" if report.left is None else f", about {report.left} s left"
        items = "" if report.total is None else f" {report.done} of {report.total}"
        bar.set_postfix_str(f"{items}{left}", refresh=False)
        bar.update(work)


def progress(items: Iterable[Item], *, total: int, label: str, work: Sequence[float] | None = None) -> Iterator[Item]:
    """Yield ``items`` and report the progress; an item is done when the next is requested.

    Args:
        total: number of items.
        label: name of the task.
        work: units of work of each item, e.g. its pixels; by default all are equal.
    """
    sizes = [1.0] * total if work is None else [float(size) for size in work]
    if len(sizes) != total:
        raise ValueError(f"there are {total} items, but the work of {len(sizes)}")
    with Meter(label, sum(sizes), total) as meter:
        for number, item in enumerate(items):
            yield item
            meter.add(sizes[number] if number < total else 0.0)


class Progress:
    """A bar on a terminal, and lines in the log, of bytes whose number may be unknown; a context manager.

    Args:
        name: of the task, e.g. ``"downloading model 'sam-vit-b'"``.
        bar: show a bar if standard error is a terminal.
    """

    def __init__(self, name: str, *, bar: bool, clock: Clock = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._bar = _bar(desc=name, unit="B", unit_scale=True) if bar and is_shown() else None
        self._total: int | None = None
        self._done = 0
        self._ended = False
        self._pace = Pace(0)
        self._start = self._logged = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def start(self, total: int | None, done: int = 0) -> None:
        """Begin, or begin again, with the bytes done so far; ``total`` is None if unknown."""
        self._total, self._done = total, done
        if self._bar is not None:
            self._bar.total, self._bar.n = total, done
        self._pace = Pace(total or 0)

    def add(self, amount: int) -> None:
        """Count some more bytes."""
        self._done += amount
        if self._bar is not None:
            self._bar.update(amount)
        if self._total:
            self._log(self._total)

    def _log(self, total: int) -> None:
        now = self._clock()
        elapsed = now - self._start
        left = self._pace.left(elapsed, self._done)
        interval = _interval(elapsed)
        ends = self._done >= total and not self._ended
        if not ends and (now - self._logged < interval or self._ended):
            return
        self._logged, self._ended = now, ends
        percent = min(100 * self._done // total, 100)
        logger.info("%s", Report(self._name, percent, None, None, elapsed, None if left is None else round(left)))
