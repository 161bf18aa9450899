"""Run the workflow for a command: show the progress in one line, and the cause of a failure in one sentence."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from tqdm import tqdm

from zsad.errors import ZsadError
from zsad.watching.watch import INTERVAL

OUTPUT = "snakemake.log"  # the output of a run that failed without a sentence
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STEPS = re.compile(r"(\d+) of (\d+) steps \(\d+%\) done")
_JOB = re.compile(r"Job \d+: (.+)")
_SENTENCE = re.compile(r"zsad: (?:[a-z_]+: )?(?P<sentence>.+)")
_NOT_THE_CAUSE = ("no partial tables", "partial tables")
_BAR = "{percentage:3.0f} % |{bar:20}| {desc}"


class RunError(ZsadError):
    """The run failed; the message says why."""


class _AskedToEndError(BaseException):
    def __init__(self, number: int) -> None:
        self.number = number


def run_workflow(arguments: Sequence[str], folder: Path, *, lock: int, environment: Mapping[str, str]) -> None:
    """Run Snakemake to its end, and show its progress on the standard error.

    It ends together with this process. A process that gets a signal to end prints a message and exits.

    Args:
        arguments: of ``snakemake``.
        folder: output folder.
        lock: the locked, open file of the folder; kept open as long as the run lasts.
        environment: variables besides those of this process.

    Raises:
        RunError: it failed.
    """
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    seconds = {INTERVAL: "1"} if is_terminal else {}
    process = subprocess.Popen(
        [sys.executable, "-m", "zsad.inspecting.supervised", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **seconds, **environment},
        pass_fds=[lock],
        start_new_session=True,  # Ctrl-C reaches it only as the end of its input, so that it ends in one way
        encoding="utf-8",
        errors="replace",
    )
    try:
        with _signals_raised():
            said = list(_shown(process.stdout or [], is_terminal))
            status = process.wait()
    except _AskedToEndError as asked:
        _end(process)
        print(f"zsad: stopped; run the same command to continue from the finished steps in {folder}", file=sys.stderr)
        raise SystemExit(128 + asked.number) from None
    except BaseException:
        _end(process)
        raise
    if process.stdin is not None:
        process.stdin.close()
    if status:
        raise RunError(_cause(said, folder))


@contextmanager
def _signals_raised() -> Iterator[None]:
    """Turn signals to end into an exception within the block; outside the main thread this is not possible."""
    before = {}

    def note(number: int, frame: FrameType | None) -> None:
        raise _AskedToEndError(number)

    try:
        for number in ENDING_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # keeps signals ignored under nohup
                before[number] = signal.signal(number, note)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def _shown(lines: Iterator[str] | TextIO | list[str], is_terminal: bool) -> Iterator[str]:
    """Pass on the output of Snakemake, and show its progress: as a bar, or as lines."""
    bar = (
        tqdm(total=1, bar_format=_BAR, leave=False, file=sys.stderr, desc="checking the photographs")
        if is_terminal
        else None
    )
    job = ""
    for line in lines:
        yield line
        text = line.rstrip()
        steps, began = _STEPS.match(text), _JOB.match(text)
        if bar is None:
            if began or job:
                print(text, file=sys.stderr, flush=True)
            job = began[1] if began else ""
            continue
        if steps:
            bar.total, bar.n = int(steps[2]), int(steps[1])
            bar.set_description_str(f"{steps[0].partition(' (')[0]}")
        elif began:
            job = began[1]
        elif job:
            bar.set_description_str(f"{text.strip()}: {job}")
            job = ""
    if bar is not None:
        bar.close()


def _cause(said: Sequence[str], folder: Path) -> str:
    """The cause of a failed run: the first sentence of the workflow, or else the file with its output."""
    for line in said:
        match = _SENTENCE.match(line.rstrip())
        if match and not match["sentence"].startswith(_NOT_THE_CAUSE):
            return match["sentence"]
    output = folder / OUTPUT
    try:
        output.write_text("".join(said), encoding="utf-8")
    except OSError as error:
        return f"the run ended early, and its output cannot be written to {output} ({error.strerror})"
    return f"the run ended early for an unknown reason; see its output in {output}"
