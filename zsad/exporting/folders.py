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

_LONGEST = 200  # characters of the folder's name in the name of the temporary one


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``, which replaces it on success and is removed on failure.

    The old content of ``folder`` is removed when the new one is complete. Remains of killed processes are removed
    first.

    Raises:
        DataError: it is a file, or the disk is full, out of inodes, damaged or not writable.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file, but a folder is needed; move it away and run again")
    temporary, before = _beside(folder, "tmp"), _beside(folder, "old")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(folder)
        temporary.mkdir()
        yield temporary
        _flush(temporary)
        _put_in_place(temporary, folder, before)
    except OSError as error:
        # For other files, the block itself has the better message.
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
    """Rename a folder; a folder at the new place, also a new one from another process, is moved aside."""
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
    """Remove a folder with its content, or a link; do nothing if it does not exist."""
    if place.is_symlink():
        place.unlink(missing_ok=True)
    else:
        shutil.rmtree(place, ignore_errors=True)


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name[:_LONGEST]}.{os.getpid()}.{ending}")


def _remove_left_behind(folder: Path) -> None:
    """Remove the temporary folders of processes that have ended."""
    pattern = re.compile(rf"\.{re.escape(folder.name[:_LONGEST])}\.(\d+)\.(?:tmp|old)")
    for place in folder.parent.iterdir():
        found = pattern.fullmatch(place.name)
        if found and not _is_running(int(found[1])):
            _remove(place)


def _is_running(process: int) -> bool:
    if process == os.getpid():
        return False  # this process has not made its own folder yet
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _flush(folder: Path) -> None:
    """Flush all written files to the disk at once, which is faster than file by file."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with open(path, "rb") as stream:
                os.fsync(stream.fileno())
