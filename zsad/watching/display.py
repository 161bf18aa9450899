"""Show the progress of running jobs: as bars below Snakemake's messages, or as plain lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from snakemake.settings.enums import Quietness
from tqdm import tqdm

from zsad.watching.running import RunningJob

BAR = "|{bar:10}| {desc}"


class Display(Protocol):
    """Shows running jobs, by Snakemake's job number."""

    seconds: float  # between updates
    follows_ends: bool  # whether to update, too, when a job ends

    def show(self, jobs: Mapping[int, RunningJob]) -> None:
        """Show the progress of the jobs."""


class Terminal(Protocol):
    """A stream of text to a terminal."""

    def write(self, text: str, /) -> int:
        """Write a text; return its length."""

    def flush(self) -> None:
        """Write what is waiting."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""

    def fileno(self) -> int:
        """The file descriptor."""


class Lines:
    """Writes a plain line to Snakemake's log for each job with progress; ``--quiet progress`` silences them."""

    follows_ends = False

    def __init__(self, logger: logging.Logger, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger, self.seconds, self._clock = logger, seconds, clock
        self._last: dict[int, object] = {}

    def show(self, jobs: Mapping[int, RunningJob]) -> None:
        """Log a line for each job with news."""
        for number, job in jobs.items():
            if self._last.get(number) != job.report:
                # Snakemake's formatters use the text of a record without its arguments.
                text = f"Job {number}: {job.name}\n    {job.described(self._clock())}"
                self._logger.info(text, extra={"quietness": Quietness.PROGRESS})
        self._last = {number: job.report for number, job in jobs.items()}


class Screen:
    """A stream to a terminal whose last lines are bars: text is written above them."""

    def __init__(self, stream: Terminal) -> None:
        self._stream = stream
        self._waiting: list[str] = []

    def write(self, text: str) -> int:
        """Keep a text until the next `flush`, so that a message comes at once."""
        self._waiting.append(text)
        return len(text)

    def flush(self) -> None:
        """Write what is waiting."""
        text, self._waiting = "".join(self._waiting), []
        if text:
            with tqdm.external_write_mode(file=self._stream):
                self._stream.write(text)
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The terminal's file descriptor."""
        return self._stream.fileno()


class Bars:
    """A bar for each job, on a terminal."""

    seconds = 1.0
    follows_ends = True

    def __init__(self, stream: Terminal, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._bars: dict[int, tqdm] = {}

    def show(self, jobs: Mapping[int, RunningJob]) -> None:
        """Draw the bars of the jobs, and remove all others."""
        for number in [number for number in self._bars if number not in jobs]:
            self._bars.pop(number).close()
            self._stream.write("\r")  # a bar that is not the first leaves the cursor where it ended
        for number, job in jobs.items():
            bar = self._bars.get(number) or self._made(number, job.name)
            bar.n = job.report.percent if job.report else 0
            # Changing text comes first: a narrow terminal cuts off the end.
            bar.set_description_str(f"{job.described(self._clock())}: {job.name}", refresh=True)

    def _made(self, number: int, name: str) -> tqdm:
        self._bars[number] = tqdm(
            desc=name, total=100, file=self._stream, leave=False, bar_format=BAR, dynamic_ncols=True
        )
        return self._bars[number]
