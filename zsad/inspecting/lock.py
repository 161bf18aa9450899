"""The lock of a folder of results, so that only one process at a time writes to it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOCK = ".zsad-inspect.lock"


def locked(folder: Path) -> int:
    """Lock a file in a folder and return its descriptor; the file is locked until the process ends or closes it.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: the folder or the file cannot be made, or the disk does not support locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock
