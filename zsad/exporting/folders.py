"""Folders that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zsad.errors import DataError
from zsad.errors.system import is_of_writing, system_sentence

_LONGEST = 200  # signs of the folder's name that stand in that of the temporary one


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``, which takes its place on success, and is removed on failure.

    What was in ``folder`` is removed when the new one is whole. What killed processes left behind is removed first.

    Raises:
        DataError: it is a file, or the disk has no space or no inode for it, fails, or may not be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file where a folder is needed; move it away and run again")
    temporary, before = _beside(folder, "tmp"), _beside(folder, "old")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(folder)
        temporary.mkdir()
        yield temporary
        _flush(temporary)
        _put_in_place(temporary, folder, before)
    except OSError as error:
        # Of other files the block itself knows more.
        is_own = error.filename is not None and Path(os.fsdecode(error.filename)).is_relative_to(temporary)
        sentence = system_sentence(error, folder) if is_own or is_of_writing(error, folder) else None
        if sentence is None:
            raise
        raise DataError(sentence) from None
    finally:
        if not os.path.lexists(folder) and os.path.lexists(before):
            before.rename(folder)
        for remains in (temporary, before):
            _remove(remains)


def _put_in_place(temporary: Path, folder: Path, before: Path) -> None:
    """Rename a folder; what is in its place, or is put there meanwhile by another process, is put aside."""
    while True:
        _remove(before)
        with suppress(FileNotFoundError):
            folder.rename(before)
        try:
            temporary.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return


def _remove(place: Path) -> None:
    """Remove a folder with all that is in it, or a link; nothing if it is not there."""
    if place.is_symlink():
        place.unlink(missing_ok=True)
    else:
        shutil.rmtree(place, ignore_errors=True)


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name[:_LONGEST]}.{os.getpid()}.{ending}")


def _remove_left_behind(folder: Path) -> None:
    """Remove the temporary folders of processes that are no more."""
    pattern = re.compile(rf"\.{re.escape(folder.name[:_LONGEST])}\.(\d+)\.(?:tmp|old)")
    for place in folder.parent.iterdir():
        found = pattern.fullmatch(place.name)
        if found and not _is_running(int(found[1])):
            _remove(place)


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
