"""The running jobs, from Snakemake's log records, and their progress, from their own logs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent

from zsad.progress import Report
from zsad.watching.formatting import end_of, signature

TAIL = 4096  # bytes


@dataclass
class RunningJob:
    """A job and the last report in its log.

    Attributes:
        name: description for users.
        log: its own log file.
        before: signature of the log before the job began: until it changes, the log is from an earlier run.
        report: the last report; None before the first.
        seen: when the report was first seen, by the clock.
    """

    name: str
    log: Path
    before: tuple[int, int] | None
    report: Report | None = None
    seen: float = 0.0
    _read: tuple[int, int] | None = field(default=None, repr=False)

    def look(self, now: float) -> None:
        """Read the end of the log if it has changed."""
        at = signature(self.log)
        if at is None or at in (self.before, self._read):
            return
        self.before, self._read = None, at
        report = last_report(self.log)
        if report is not None and report != self.report:
            self.report, self.seen = report, now

    def described(self, now: float) -> str:
        """The step and progress of the job, with the time left from now."""
        report = self.report
        if report is None:
            return ""
        items = "" if report.total is None else f", {report.done} of {report.total}"
        left = "" if report.left is None else f", about {duration(max(0, report.left - (now - self.seen)))} left"
        return f"{report.percent} %{items}{left} ({report.label})"


class RunningJobs(logging.Handler):
    """A handler of Snakemake's logger that tracks running jobs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._jobs: dict[int, RunningJob] = {}
        self.on_close: Callable[[], None] = lambda: None
        self.on_begin: Callable[[], None] = lambda: None
        self.on_end: Callable[[], None] = lambda: None
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Add a started job, or remove a finished one."""
        event, fields = getattr(record, "event", None), vars(record)
        with self._guard:
            if event == LogEvent.JOB_INFO and fields["log"]:
                path = Path(fields["log"][0])
                name = fields["rule_msg"] or fields["rule_name"]
                self._jobs[fields["jobid"]] = RunningJob(name, path, signature(path))
            elif event == LogEvent.JOB_FINISHED:
                self._jobs.pop(fields["job_id"], None)
            elif event == LogEvent.JOB_ERROR:
                self._jobs.pop(fields["jobid"], None)
            elif event == LogEvent.GROUP_ERROR:
                for job in fields["job_error_info"]:
                    self._jobs.pop(job["jobid"], None)
        if event == LogEvent.JOB_INFO:
            self.on_begin()
        elif event in (LogEvent.JOB_FINISHED, LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR):
            self.on_end()

    def looked_at(self) -> dict[int, RunningJob]:
        """The running jobs with a report, by Snakemake's job number, with their current reports."""
        with self._guard:
            jobs = dict(self._jobs)
        now = self._clock()
        for job in jobs.values():
            job.look(now)
        return {number: job for number, job in jobs.items() if job.report is not None}

    def close(self) -> None:
        """Stop, with Snakemake's logging."""
        self.on_close()
        super().close()


def last_report(log: Path) -> Report | None:
    """The last report of a log; None if there is none in its last lines, or no log."""
    lines = end_of(log, TAIL).split("\n")
    # Text after the last line break is incomplete.
    return next((report for line in reversed(lines[:-1]) if (report := Report.of_line(line)) is not None), None)


def duration(seconds: float) -> str:
    """A readable duration: ``50 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 100:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
