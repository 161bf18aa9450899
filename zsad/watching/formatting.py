"""Shorten Snakemake's messages for the terminal; its own log file has them in full."""

from __future__ import annotations

import copy
import logging
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from zsad.watching.shortening import shortened_list, shortened_text

SENTENCE = re.compile(r"^\S+ \S+ ERROR zsad\.workflow\.job: (?P<sentence>.+)\Z", re.M | re.S)
EXIT_STATUS = re.compile(
    r"RuleException:\nCalledProcessError in file \"[^\n]*\.smk\", line \d+:\n"
    r"Command '[^\n]*\.snakemake/scripts/\w+\.(?P<rule>\w+)\.py'? returned non-zero exit status 1\.\s*"
)
JOBS_FAILED = "At least one job did not complete successfully."
NO_MORE_JOBS = "Exiting because a job execution failed."
A_SCREEN = 20  # messages after which a sentence may be out of sight
LISTS = ("input", "output")


class TerminalFormatter(logging.Formatter):
    """Formats like another formatter, with shortened lists of paths and a failed job's sentence instead of its log.

    Only a job that ended with a sentence for the user is shortened: any other failure is shown in full.

    Args:
        inner: Snakemake's own formatter.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner
        self._lock = threading.Lock()
        self._messages: dict[int, str] = {}  # of jobs
        self._logs: dict[int, list[tuple[int, int] | None]] = {}  # of jobs, when they began
        self._statuses: dict[str, list[str]] = {}  # of rules: exceptions that a job's failure will explain
        self._grouped: set[int] = set()  # jobs of failed submissions, which Snakemake also reports one by one
        self._told: dict[str, int] = {}  # sentences, with the number of messages before
        self._count = 0

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record; empty if another record will report it."""
        with self._lock:
            text = self._text(record)
            self._count += bool(text)
            return text

    def _text(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            return self._begun(record)
        if event == LogEvent.JOB_ERROR:
            return self._failed(record)
        if event == LogEvent.GROUP_ERROR:
            return self._failed_group(record)
        if event == LogEvent.ERROR:
            return self._exception(record)
        text = self._inner.format(record)
        if event is None and isinstance(text, str):
            held = "\n".join(self._taken_statuses()) if text.startswith(NO_MORE_JOBS) else ""
            return "\n".join(part for part in (held, shortened_text(text)) if part)
        return text

    def _begun(self, record: logging.LogRecord) -> str:
        jobid = vars(record)["jobid"]
        self._messages[jobid] = vars(record)["rule_msg"] or vars(record)["rule_name"]
        self._logs[jobid] = [signature(path) for path in vars(record)["log"]]
        return shortened_text(self._inner.format(_with_short_lists(record)))

    def _failed(self, record: logging.LogRecord) -> str:
        job = vars(record)
        if job["jobid"] in self._grouped:
            self._grouped.discard(job["jobid"])
            return ""
        held = self._statuses.get(job["rule_name"], [])
        status = held.pop(0) if held else ""
        if sentence := self._sentence(job):
            return f"[{time.asctime()}]\n{self._reason(sentence, job)}"
        text = self._inner.format(_with_short_lists(record))
        return f"{status}\n{text}" if status else text

    def _failed_group(self, record: logging.LogRecord) -> str:
        jobs = vars(record)["job_error_info"]
        known = [(self._sentence(job), job) for job in jobs]
        if not any(sentence for sentence, _ in known):
            changed = copy.copy(record)
            vars(changed)["job_error_info"] = [_short_lists(job) for job in jobs]
            return self._inner.format(changed)
        self._grouped |= {job["jobid"] for job in jobs}
        reasons = [self._reason(sentence, job) for sentence, job in known if sentence]
        logs = [f"    log of the submission: {path}" for path in vars(record)["aux_logs"]]
        return "\n".join([f"[{time.asctime()}]", *reasons, *logs])

    def _exception(self, record: logging.LogRecord) -> str:
        text = self._inner.format(record)
        if match := EXIT_STATUS.fullmatch(text):
            self._statuses.setdefault(match["rule"], []).append(text)
            return ""
        if JOBS_FAILED in text:
            out_of_sight = [reason for reason, at in self._told.items() if self._count - at > A_SCREEN]
            return "\n".join([*self._taken_statuses(), text, *out_of_sight])
        return shortened_text(text)

    def _reason(self, sentence: str, job: Mapping[str, Any]) -> str:
        """Why a job failed: the sentence the first time, later the other jobs that it stopped."""
        reason = f"zsad: {job['rule_name']}: {sentence}"
        name = self._messages.get(job["jobid"], job["rule_name"])
        log = f"    log: {', '.join(job['log'])}"
        if reason in self._told:
            return f"Failed for the same reason as an earlier job: {name}\n{log}"
        self._told[reason] = self._count
        return f"{reason}\n    failed: {name}\n{log}"

    def _sentence(self, job: Mapping[str, Any]) -> str:
        """The sentence that a job ended with; empty if there is none for the user, or it is from an earlier run."""
        before = self._logs.get(job["jobid"], [])
        for path, old in zip(job["log"], before, strict=False):
            match = SENTENCE.search(end_of(path)) if signature(path) != old else None
            if match and " ERROR zsad.workflow.job: " not in match["sentence"]:
                return match["sentence"].strip()
        return ""

    def _taken_statuses(self) -> list[str]:
        held = [text for texts in self._statuses.values() for text in texts]
        self._statuses.clear()
        return held


def signature(path: str | Path) -> tuple[int, int] | None:
    """Time and length of a file, which show whether it has been written to; None if it does not exist."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def end_of(path: str | Path, length: int = 8192) -> str:
    """The last characters of a file, about this many bytes; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - length))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _with_short_lists(record: logging.LogRecord) -> logging.LogRecord:
    """A shortened copy of a record: the record itself goes to other handlers as well."""
    changed = copy.copy(record)
    vars(changed).update(_short_lists(vars(record)))
    return changed


def _short_lists(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, **{name: shortened_list(fields[name]) for name in LISTS if fields.get(name)}}
