"""Report Snakemake's own failures as one sentence if the cause is known, and without a traceback if it is not.

This concerns the process that reads the rules: errors while they are read, in functions for inputs or parameters, or
while folders of results are searched. `zsad.workflow.job` reports errors of jobs. Snakemake's own messages, most of
which name the rule and the file, are unchanged.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError
from traceback import walk_tb
from types import FrameType
from typing import IO, Any

from snakemake.exceptions import ApiError, CliException, InputFunctionException, RuleException, WorkflowError
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from zsad.errors import ZsadError
from zsad.errors.boundary import is_debugged, known_sentence, sentence_of, with_traceback

SNAKEMAKES_OWN = (WorkflowError, RuleException, ApiError, CliException, SyntaxError, TokenError)
OURS = ("Snakefile", "rules", "zsad")  # in the folder of the workflow, which may also contain Snakemake itself
PRINTER = "print_exception"  # the function of Snakemake that prints every exception, and ...
PRINTED = "ex"  # ... its name for the exception


def tell_failures_in_sentences(folder: Path | None = None, *, of_all: bool = True) -> None:
    """From now on, report exceptions in the process of Snakemake as `zsad.errors.boundary` does.

    Args:
        folder: folder of the workflow.
        of_all: False to report only exceptions that come from there, if another workflow uses this one.
    """
    ours = None if of_all else folder
    if not any(isinstance(known, SentenceFilter) and known.folder == ours for known in logger.filters):
        logger.addFilter(SentenceFilter(ours))
    if not of_all:
        return
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.setStream(PatientStream(handler.stream))


class SentenceFilter(logging.Filter):
    """Replaces a traceback with a sentence; the traceback only goes to Snakemake's own log file.

    Args:
        folder: of the code whose exceptions are replaced; None for all.
    """

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__()
        self.folder = folder

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record about an exception; all records pass."""
        if getattr(record, "event", None) == LogEvent.ERROR and not is_debugged():
            error = _printed_exception()
            if error is not None and _is_to_be_told(error) and self._is_ours(error):
                record.msg, record.args = self._told(error, record), ()
        return True

    def _is_ours(self, error: BaseException) -> bool:
        if self.folder is None or isinstance(_own(error), ZsadError):
            return True
        places = [self.folder / part for part in OURS]
        return any(path.is_relative_to(place) for path in _passed(error) for place in places)

    def _told(self, error: BaseException, record: logging.LogRecord) -> str:
        rule = getattr(getattr(error, "rule", None), "name", None)
        files = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
        if not isinstance(_own(error), ZsadError):
            whole = logging.makeLogRecord({"levelno": record.levelno, "levelname": record.levelname})
            whole.msg = with_traceback(error)
            for handler in files:
                handler.handle(whole)
        sentence = sentence_of(_own(error), traceback_in=files[0].baseFilename if files else None)
        return f"zsad: {rule}: {sentence}" if rule else f"zsad: {sentence}"


class PatientStream:
    """A stream that becomes silent once its reader has closed it, as in ``snakemake -n | head``."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, unless the reader is gone."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._close()
            return len(text)

    def flush(self) -> None:
        """Write buffered text, unless the reader is gone."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._close()

    def _close(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def _own(error: BaseException) -> BaseException:
    """The error of this package, or of the system, that Snakemake's error wraps; else the same error."""
    inner = error.__cause__ or error.__context__
    if isinstance(error, InputFunctionException) and not isinstance(inner, ZsadError):
        return _written_out(error) or error
    is_of_system = isinstance(inner, OSError) and type(error) is WorkflowError and known_sentence(inner) is not None
    return inner if inner is not None and (isinstance(inner, ZsadError) or is_of_system) else error


def _written_out(error: InputFunctionException) -> ZsadError | None:
    """The error of this package that Snakemake's error has only in its text, as it was raised again elsewhere."""
    found = re.match(r"Error:\n  (\w+): (.*?)\nWildcards:\n", str(error), re.DOTALL)
    return ZsadError(found[2]) if found and found[1] in _names_of(ZsadError) else None


def _names_of(kind: type[Exception]) -> set[str]:
    """The names of an exception and all its subclasses."""
    return {kind.__name__}.union(*map(_names_of, kind.__subclasses__()))


def _passed(error: BaseException | None) -> Iterator[Path]:
    """The files whose code an exception or its cause passed."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield from (Path(frame.f_code.co_filename) for frame, _ in walk_tb(error.__traceback__))
        error = error.__cause__ or error.__context__


def _is_to_be_told(error: BaseException) -> bool:
    if isinstance(error, InputFunctionException) or _own(error) is not error:
        return True
    return isinstance(error, ZsadError) or (isinstance(error, Exception) and not isinstance(error, SNAKEMAKES_OWN))


def _printed_exception() -> BaseException | None:
    """The exception that Snakemake is printing, which its records only have as text."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == PRINTER and frame.f_globals.get("__name__") == "snakemake.exceptions":
            error = frame.f_locals.get(PRINTED)
            return error if isinstance(error, BaseException) else None
        frame = frame.f_back
    return None
