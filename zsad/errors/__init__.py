"""Errors that a user can fix; each message is one clear sentence with the thing, the cause and the fix."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # system errors that free space fixes


class ZsadError(Exception):
    """Base class: only its message is shown to the user, without a traceback."""


class ConfigError(ZsadError):
    """The configuration names something that does not exist, or an invalid value."""


class DataError(ZsadError):
    """An image, a mask, a folder or a result file is missing, unreadable or inconsistent."""


class DamagedFileError(DataError):
    """A result file was damaged or changed; a job that reads it removes it, so that the next run makes it again.

    Args:
        path: of the file.
        fault: what is wrong, as the text after the path in a sentence: ``"is damaged (...)"``.
    """

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path} {fault}; delete it and run again")
        self.path = path
        self.fault = fault


class MemoryShortageError(DataError):
    """There is too little memory for an image, which may be intact."""


class ArrayError(DataError, ValueError):
    """An array in memory, such as a map, a mask or tokens, has a wrong shape, type or value."""


class ModelError(ZsadError):
    """A model cannot be found, reached or used as requested."""


def nearest_hint(word: str, candidates: Iterable[str], *, or_all: bool = True) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest candidate, or the list of candidates if none is close.

    Args:
        or_all: False returns an empty text instead of a long list.
    """
    names = sorted(str(candidate) for candidate in candidates)
    close = difflib.get_close_matches(str(word), names, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; choose from: {', '.join(names)}" if names and or_all else ""


def one_sentence(problems: Sequence[str]) -> str:
    """The first problem, and the number of further ones."""
    more = len(problems) - 1
    return problems[0] + (f"; and {more} more problem{'s' if more > 1 else ''}: run `zsad check`" if more else "")


def first_line(error: BaseException) -> str:
    """The first line of a library's message, for use in a sentence; the name of the error if the message is empty."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
