"""The errors that a user can mend; each message is one clear sentence that names the thing and the mend."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # the errors of the system that free space mends


class ZsadError(Exception):
    """Base class: shown to the user as its message alone, without a traceback."""


class ConfigError(ZsadError):
    """The configuration asks for something that does not exist or makes no sense."""


class DataError(ZsadError):
    """An image, a mask, a folder or a result file is missing, unreadable or inconsistent."""


class DamagedFileError(DataError):
    """A result file is not what its writer wrote; a job that reads it removes it, so that the next run makes it anew.

    Args:
        path: of the file.
        fault: what is wrong, as what follows the path in a sentence: ``"is damaged (...)"``.
    """

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path} {fault}; delete it and run again")
        self.path = path
        self.fault = fault


class MemoryShortageError(DataError):
    """There is too little memory for an image, which may be sound."""


class ArrayError(DataError, ValueError):
    """What is given in memory, such as a map, a mask or tokens, has a wrong shape, type or value."""


class ModelError(ZsadError):
    """A model cannot be found, reached or used as asked."""


def nearest_hint(word: str, candidates: Iterable[str], *, or_all: bool = True) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest candidate, or the list of candidates if none is close.

    Args:
        or_all: False gives nothing in place of the list, where it would be long.
    """
    names = sorted(str(candidate) for candidate in candidates)
    close = difflib.get_close_matches(str(word), names, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; choose from: {', '.join(names)}" if names and or_all else ""


def one_sentence(problems: Sequence[str]) -> str:
    """The first problem, and how many there are besides."""
    more = len(problems) - 1
    return problems[0] + (f"; and {more} more problem{'s' if more > 1 else ''}: run `zsad check`" if more else "")


def first_line(error: BaseException) -> str:
    """The first line of what a library says, to be part of a sentence; the name of the error if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
