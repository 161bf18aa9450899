"""Watch a run: attach handlers to Snakemake's logger that show the jobs' progress and errors."""

from __future__ import annotations

import logging
import os
import threading

from snakemake.logging import logger
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from zsad.progress import WATCHED
from zsad.watching.display import Bars, Display, Lines, Screen, Terminal
from zsad.watching.formatting import TerminalFormatter
from zsad.watching.running import RunningJobs

INTERVAL = "ZSAD_PROGRESS_SECONDS"  # environment: seconds between lines if the output is not a terminal
DEFAULT_INTERVAL = 10.0


def watch_run(*, dry_run: bool) -> None:
    """Show the progress of the run of this process to users; not for the processes of its jobs.

    Args:
        dry_run: whether nothing runs; long lists are shortened anyway.
    """
    terminal = _terminal_handler()
    if terminal is not None:
        terminal.setFormatter(TerminalFormatter(terminal.formatter or logging.Formatter()))
    if dry_run:
        return
    if terminal is not None and _shows(terminal, event=LogEvent.JOB_ERROR):
        os.environ[WATCHED] = "1"  # this process prints the jobs' last sentences
    else:
        os.environ.pop(WATCHED, None)
    Watcher(RunningJobs(), _display(terminal)).attach()


class Watcher:
    """Reads the logs of running jobs regularly, in a thread that starts with the first job."""

    def __init__(self, jobs: RunningJobs, display: Display) -> None:
        self._jobs, self._display = jobs, display
        self._wake = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None
        jobs.on_begin, jobs.on_close = self._begin, self.stop
        if display.follows_ends:
            jobs.on_end = self._wake.set

    def attach(self) -> None:
        """Follow Snakemake's logger until it closes its handlers."""
        logger.addHandler(self._jobs)

    def stop(self) -> None:
        """End the thread and show nothing more."""
        self._ended = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._display.show({})

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="watch jobs", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        while not self._ended:
            self._wake.wait(self._display.seconds)
            self._wake.clear()
            if not self._ended:
                self._display.show(self._jobs.looked_at())


def _terminal_handler() -> logging.StreamHandler[Terminal] | None:
    """The handler that writes messages to the terminal; None if a logger plugin does."""
    handlers = (handler for handler in logger.handlers if isinstance(handler, logging.StreamHandler))
    return next((handler for handler in handlers if not isinstance(handler, logging.FileHandler)), None)


def _display(terminal: logging.StreamHandler[Terminal] | None) -> Display:
    if terminal is None or not terminal.stream.isatty() or os.environ.get("TERM") == "dumb":
        return Lines(logger, _interval())
    if not _shows(terminal, quietness=Quietness.PROGRESS):
        return Lines(logger, DEFAULT_INTERVAL)  # equally quiet
    stream = terminal.stream
    terminal.setStream(Screen(stream))
    return Bars(stream)


def _interval() -> float:
    try:
        return max(0.1, float(os.environ.get(INTERVAL, DEFAULT_INTERVAL)))
    except ValueError:
        return DEFAULT_INTERVAL


def _shows(handler: logging.Handler, **attributes: object) -> bool:
    """Whether a handler lets a record pass, e.g. under ``--quiet``."""
    record = logging.makeLogRecord({"levelno": logging.INFO, "levelname": "INFO", **attributes})
    return bool(handler.filter(record))
