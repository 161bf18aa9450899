"""What a person at the terminal sees of a run."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import select
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from snakemake.iocontainers import Wildcards
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from zsad.progress import Report
from zsad.watching.display import Bars, Lines, Screen
from zsad.watching.formatting import TerminalFormatter
from zsad.watching.running import RunningJobs, duration, last_report
from zsad.watching.shortening import shortened_list, shortened_text
from zsad.watching.watch import Watcher

PATHS = [f"photos/part {number}.png" for number in range(4000)]
SENTENCE = "photos/part 7.png cannot be read as an image; replace it"
STATUS = (
    'RuleException:\nCalledProcessError in file "/x/rules/data.smk", line 91:\n'
    "Command 'set -euo pipefail;  python /r/.snakemake/scripts/tmp1_x.build_manifest.py' "
    "returned non-zero exit status {}."
)


@pytest.fixture
def terminal() -> tuple[logging.Logger, io.StringIO]:
    """A logger with a handler as Snakemake's, and what it writes."""
    logger = logging.Logger("watched", logging.INFO)
    stream = io.StringIO()
    handler = ColorizingTextHandler(
        stream=stream,
        formatter=TerminalFormatter(DefaultFormatter(show_failed_logs=True)),
        filter=DefaultFilter(set(), False, False, False, False),
    )
    logger.addHandler(handler)
    return logger, stream


def begin(logger: logging.Logger, log: Path, number: int = 1, **fields: Any) -> None:
    """Log the start of a job as Snakemake does."""
    extra = {
        "event": LogEvent.JOB_INFO, "jobid": number, "rule_msg": f"Doing {number}", "rule_name": "build_manifest",
        "local": False, "is_checkpoint": False, "input": PATHS, "output": ["m.csv"], "log": [str(log)],
        "benchmark": None, "wildcards": Wildcards(), "reason": "Forced execution", "resources": {}, "priority": 0,
        "threads": 1, "indent": False,
    }  # fmt: skip
    logger.info("Rule", extra={**extra, **fields})


def fail(logger: logging.Logger, log: Path, number: int = 1, status: int = 1) -> None:
    """Log the failure of a job as Snakemake does."""
    exception = {"event": LogEvent.ERROR, "exception": "RuleException"}
    logger.error(STATUS.format(status), extra=exception)
    logger.error("Error in rule", extra=error_info(log, number))


def error_info(log: Path, number: int = 1) -> dict[str, Any]:
    return {
        "event": LogEvent.JOB_ERROR, "rule_name": "build_manifest", "rule_msg": None, "jobid": number, "input": PATHS,
        "output": ["m.csv"], "log": [str(log)], "conda_env": None, "container_img": None, "aux": {}, "indent": False,
        "shellcmd": None,
    }  # fmt: skip


def write(log: Path, *lines: str) -> None:
    log.write_text("".join(f"2026-01-02 10:11:12,123 {line}\n" for line in lines))


def end(logger: logging.Logger) -> None:
    text = "WorkflowError:\nAt least one job did not complete successfully."
    logger.error(text, extra={"event": LogEvent.ERROR, "exception": "WorkflowError"})


# ---- shortening ----


def test_lists_of_paths_are_shortened_and_nothing_else() -> None:
    assert shortened_list(PATHS) == [*PATHS[:3], "... and 3,997 more"]
    assert shortened_list(PATHS[:6]) == PATHS[:6]
    reason = f"Reason: Updated input files: {', '.join(PATHS)}; Code has changed, a, b, c, d, e, f, g, h"
    short = shortened_text(reason)
    assert short.endswith(f"{PATHS[2]}, ... and 3,997 more; Code has changed, a, b, c, d, e, f, g, h")
    both = f"x: {', '.join(PATHS[:9])}; y: {', '.join(PATHS[:10])}"
    assert re.findall(r"and (\d+) more", shortened_text(both)) == ["6", "7"]
    listed = "\n    ".join(["Missing input files for rule x:", "affected files:", *PATHS]) + "\nThe end."
    assert shortened_text(listed).splitlines()[-2:] == ["    ... and 3,997 more", "The end."]


@pytest.mark.parametrize(
    "text",
    [
        "choose from: " + ", ".join("abcdefghij"),
        "\n".join(f'  File "/x/y{n}.py", line {n}, in f' for n in range(20)),
        "\n".join(f"    step {n}" for n in range(20)),
        "",
    ],
    ids=["names", "traceback", "lines", "nothing"],
)
def test_what_is_no_list_of_paths_stays(text: str) -> None:
    assert shortened_text(text) == text


# ---- failures ----


def test_a_failed_job_is_told_of_by_its_sentence_alone_and_once(terminal, tmp_path: Path) -> None:
    logger, stream = terminal
    logs = [tmp_path / "1.log", tmp_path / "2.log"]
    for number, log in enumerate(logs):
        begin(logger, log, number)
        write(log, "INFO zsad.workflow.job: build_manifest with {}", f"ERROR zsad.workflow.job: {SENTENCE}")
        fail(logger, log, number)
    end(logger)
    text = stream.getvalue()
    assert text.count(f"zsad: build_manifest: {SENTENCE}") == text.count("cannot be read") == 1
    assert "same reason as an earlier job: Doing 1" in text
    assert all(str(log) in text for log in logs)
    assert not any(word in text for word in ("RuleException", "Command", "part 9", "=====", "m.csv"))


def test_a_sentence_that_is_out_of_sight_stands_last_again(terminal, tmp_path: Path) -> None:
    logger, stream = terminal
    begin(logger, tmp_path / "x.log")
    write(tmp_path / "x.log", f"ERROR zsad.workflow.job: {SENTENCE}")
    fail(logger, tmp_path / "x.log")
    for number in range(30):
        logger.info(f"something else {number}")
    end(logger)
    assert stream.getvalue().count(SENTENCE) == 2
    assert stream.getvalue().rstrip().endswith(SENTENCE)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["INFO zsad.workflow.job: killed while working"], 1),
        (["INFO zsad.workflow.job: killed while working"], 137),
        ([f"ERROR zsad.workflow.job: {SENTENCE}", "ERROR zsad.workflow.job: another sentence"], 1),
    ],
    ids=["without a word", "killed", "two sentences"],
)
def test_an_unknown_failure_is_shown_in_full_but_for_the_list(
    terminal, tmp_path: Path, lines: list[str], status: int
) -> None:
    logger, stream = terminal
    begin(logger, tmp_path / "x.log")
    write(tmp_path / "x.log", *lines)
    fail(logger, tmp_path / "x.log", status=status)
    text = stream.getvalue()
    assert STATUS.format(status) in text
    assert "Error in rule build_manifest:" in text
    assert all(line in text for line in lines)
    assert f"input: {PATHS[0]}, {PATHS[1]}, {PATHS[2]}, ... and 3,997 more" in text
    assert len(text) < 3000


def test_a_log_of_an_earlier_run_explains_nothing(terminal, tmp_path: Path) -> None:
    logger, stream = terminal
    write(tmp_path / "x.log", f"ERROR zsad.workflow.job: {SENTENCE}")
    begin(logger, tmp_path / "x.log")
    fail(logger, tmp_path / "x.log")
    assert STATUS.format(1) in stream.getvalue()
    assert f"zsad: build_manifest: {SENTENCE}" not in stream.getvalue()


def test_an_exit_status_that_no_job_explains_is_told_in_the_end(terminal) -> None:
    logger, stream = terminal
    logger.error(STATUS.format(1), extra={"event": LogEvent.ERROR, "exception": "RuleException"})
    assert "RuleException" not in stream.getvalue()
    logger.error("Exiting because a job execution failed. Look above for error messages")
    assert stream.getvalue().index(STATUS.format(1)) < stream.getvalue().index("Exiting because")


def test_a_failed_submission_is_told_of_by_the_sentences_of_its_jobs(terminal, tmp_path: Path) -> None:
    logger, stream = terminal
    known, other = tmp_path / "1.log", tmp_path / "2.log"
    begin(logger, known, 1)
    begin(logger, other, 2)
    write(known, f"ERROR zsad.workflow.job: {SENTENCE}")
    extra = {"event": LogEvent.GROUP_ERROR, "aux_logs": [str(tmp_path / "slurm.log")]}
    (tmp_path / "slurm.log").write_text("of the queue\n")
    jobs = {"job_error_info": [error_info(known, 1), error_info(other, 2)], "groupid": "g"}
    logger.error("Error in group", extra={**extra, **jobs})
    for number, log in ((1, known), (2, other)):
        logger.error("Error in rule", extra=error_info(log, number))
    assert "Error in rule" not in stream.getvalue()
    assert stream.getvalue().count("zsad: build_manifest") == 1
    assert f"zsad: build_manifest: {SENTENCE}\n" in stream.getvalue()
    assert "slurm.log" in stream.getvalue()
    unexpected = "unexpected error (ValueError: x); report it"
    write(other, f"ERROR zsad.workflow.job: {unexpected}")
    logger.error("Error in group", extra={**extra, **jobs})
    assert f"zsad: build_manifest: {unexpected}\n" in stream.getvalue()
    assert "jobs:" not in stream.getvalue()


def test_other_handlers_see_the_whole_record(terminal, tmp_path: Path) -> None:
    logger, stream = terminal
    whole = io.StringIO()
    handler = logging.StreamHandler(whole)
    handler.setFormatter(DefaultFormatter())
    logger.addHandler(handler)
    begin(logger, tmp_path / "x.log", rule_msg=None)
    assert "3,997 more" in stream.getvalue()
    assert all(path in whole.getvalue() for path in PATHS)


# ---- running jobs ----


def watched(logger: logging.Logger) -> RunningJobs:
    jobs = RunningJobs()
    logger.addHandler(jobs)
    return jobs


def report(log: Path, percent: int, left: int | None = None, label: str = "refining") -> None:
    write(
        log, "INFO zsad.workflow.job: with {}", f"INFO zsad.progress: {Report(label, percent, percent, 100, 5.0, left)}"
    )


def test_jobs_run_from_their_start_to_their_end_and_are_at_what_their_logs_say(terminal, tmp_path: Path) -> None:
    logger, _ = terminal
    jobs = watched(logger)
    first, second = tmp_path / "1.log", tmp_path / "2.log"
    report(second, 99)  # of an earlier run
    begin(logger, first, 1)
    begin(logger, second, 2)
    assert jobs.looked_at() == {}
    report(first, 40, 30)
    assert jobs.looked_at()[1].described(0).startswith("40 %, 40 of 100, about ")
    assert list(jobs.looked_at()) == [1]
    with second.open("a") as file:
        file.write("2026-01-02 10:11:12,124 INFO zsad.progress: refining: 4 %, 4 of 10")  # half a line
    report(second, 5)
    assert set(jobs.looked_at()) == {1, 2}
    logger.info("Finished", extra={"event": LogEvent.JOB_FINISHED, "job_id": 1})
    assert set(jobs.looked_at()) == {2}
    fail(logger, second, 2)
    assert jobs.looked_at() == {}


def test_the_last_whole_line_counts(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert last_report(log) is None
    report(log, 10)
    with log.open("a") as file:
        file.write("INFO zsad.workflow.job: else\n" + "2026-01-02 10:11:12,124 INFO zsad.progress: refining: 20 %, 2")
    assert last_report(log).percent == 10


def test_the_time_left_runs_down_between_reports(terminal, tmp_path: Path) -> None:
    logger, _ = terminal
    now = [50.0]
    jobs = RunningJobs(lambda: now[0])
    logger.addHandler(jobs)
    begin(logger, tmp_path / "x.log")
    report(tmp_path / "x.log", 40, 30)
    job = jobs.looked_at()[1]
    assert job.described(50) == "40 %, 40 of 100, about 30 s left (refining)"
    assert job.described(60).endswith("about 20 s left (refining)")
    assert job.described(99).endswith("about 0 s left (refining)")


@pytest.mark.parametrize(("seconds", "text"), [(99, "99 s"), (720, "12 min"), (12_000, "3 h 20 min")])
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_piped_there_is_a_plain_line_for_each_job_with_news(terminal, tmp_path: Path) -> None:
    logger, stream = terminal
    jobs = watched(logger)
    lines = Lines(logger, 10.0)
    logs = [tmp_path / "1.log", tmp_path / "2.log"]
    for number, log in enumerate(logs):
        begin(logger, log, number)
        report(log, 10 + number)
    stream.truncate(0)
    for _ in range(3):
        lines.show(jobs.looked_at())
    assert re.findall(r"Job (\d): Doing \1\n    (\d+) %", stream.getvalue()) == [("0", "10"), ("1", "11")]
    report(logs[1], 50)
    lines.show(jobs.looked_at())
    assert stream.getvalue().count("Job 0") == 1
    assert "50 %, 50 of 100 (refining)\n" in stream.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f%]s|\r|\x1b", stream.getvalue().replace("\0", ""))


def test_quiet_silences_the_lines(terminal, tmp_path: Path) -> None:
    logger, stream = terminal
    logger.handlers[0].filters[0].quiet = {Quietness.PROGRESS}
    jobs = watched(logger)
    begin(logger, tmp_path / "x.log")
    report(tmp_path / "x.log", 10)
    Lines(logger, 10.0).show(jobs.looked_at())
    assert "refining" not in stream.getvalue()


def shown_on_a_terminal(written: bytes) -> list[str]:
    """The lines that stay when a terminal has done as it was told: returns, line feeds, and moves up."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|.|\n|\r", written.decode(), re.S):
        if token == "\n":
            row, column = row + 1, column
            lines += [""] * (row + 1 - len(lines))
        elif token == "\r":
            column = 0
        elif token == "\x1b[A":
            row -= 1
        elif not token.startswith("\x1b"):
            lines[row] = lines[row][:column].ljust(column) + token + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def drained(controller: int) -> bytes:
    """What a terminal has been sent so far."""
    written = b""
    while select.select([controller], [], [], 0.2)[0]:
        written += os.read(controller, 1 << 16)
    return written


def test_on_a_terminal_bars_of_two_jobs_stand_below_the_messages(terminal, tmp_path: Path) -> None:
    logger, _ = terminal
    controller, terminal_end = pty.openpty()
    termios.tcsetwinsize(terminal_end, (40, 100))
    with os.fdopen(terminal_end, "w", buffering=1) as stream:
        handler = logger.handlers[0]
        handler.setStream(Screen(stream))
        handler.nocolor = True
        jobs, bars = watched(logger), Bars(stream)
        logs = [tmp_path / "1.log", tmp_path / "2.log"]
        for number, log in enumerate(logs):
            begin(logger, log, number)
            report(log, 10 + number, 60)
        bars.show(jobs.looked_at())
        logger.info("a message between")
        report(logs[0], 70, 20)
        bars.show(jobs.looked_at())
        logger.info("another message")
        sent = drained(controller)
        during = shown_on_a_terminal(sent)
        logger.info("Finished", extra={"event": LogEvent.JOB_FINISHED, "job_id": 0})
        bars.show(jobs.looked_at())
        bars.show({})
        logger.info("the end")
        after = shown_on_a_terminal(sent + drained(controller))
    os.close(controller)
    messages = [line for line in during if "message" in line]
    assert messages == ["a message between", "another message"]
    drawn = [line for line in during if "refining" in line]
    assert len(drawn) == 2, during
    assert drawn[0].endswith(": Doing 0")
    assert "| 70 %, 70 of 100, about 20 s left (refining)" in drawn[0]
    assert "| 11 %" in drawn[1]
    assert during.index("another message") < during.index(drawn[0])
    assert "the end" in after
    assert not any("refining" in line for line in after), after


def test_the_watcher_ends_with_snakemakes_logging(monkeypatch: pytest.MonkeyPatch, terminal, tmp_path: Path) -> None:
    logger, stream = terminal
    monkeypatch.setattr("zsad.watching.watch.logger", logger)
    jobs = RunningJobs()
    watcher = Watcher(jobs, Lines(logger, 0.01))
    watcher.attach()
    begin(logger, tmp_path / "x.log")
    report(tmp_path / "x.log", 10)
    for _ in range(1000):
        if "refining" in stream.getvalue():
            break
        time.sleep(0.01)
    jobs.close()
    assert "10 %, 10 of 100 (refining)" in stream.getvalue()
    assert not watcher._thread.is_alive()
