"""Folders that are written whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zsad.errors import DataError
from zsad.errors.system import is_of_writing, system_sentence

_LONGEST = 200  # signs of the folder's name that stand in that of the temporary one


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``, which takes its place on success, and is removed on failure.

    What was in ``folder`` is removed when the new one is whole. What killed processes left behind is removed first.

    Raises:
        DataError: the disk has no space or no inode for it, fails, or may not be written to.
    """
    temporary, before = _beside(folder, "tmp"), _beside(folder, "old")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(folder)
        temporary.mkdir()
        yield temporary
        _flush(temporary)
        if os.path.lexists(folder):
            folder.rename(before)
        temporary.rename(folder)
    except OSError as error:
        # Of other files the block itself knows more.
        is_own = error.filename is not None and Path(os.fsdecode(error.filename)).is_relative_to(temporary)
        sentence = system_sentence(error, folder) if is_own or is_of_writing(error, folder) else None
        if sentence is None:
            raise
        raise DataError(sentence) from None
    finally:
        if not os.path.lexists(folder) and before.exists():
            before.rename(folder)
        for remains in (temporary, before):
            shutil.rmtree(remains, ignore_errors=True)


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name[:_LONGEST]}.{os.getpid()}.{ending}")


def _remove_left_behind(folder: Path) -> None:
    """Remove the temporary folders of processes that are no more."""
    pattern = re.compile(rf"\.{re.escape(folder.name[:_LONGEST])}\.(\d+)\.(?:tmp|old)")
    for place in folder.parent.iterdir():
        found = pattern.fullmatch(place.name)
        if found and not _is_running(int(found[1])):
            shutil.rmtree(place, ignore_errors=True)


def _is_running(process: int) -> bool:
    if process == os.getpid():
        return False  # and has not made it yet
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _flush(folder: Path) -> None:
    """Have the disk hold what was written, all at once, which takes less than file by file."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with open(path, "rb") as stream:
                os.fsync(stream.fileno())
