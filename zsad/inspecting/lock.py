"""The lock of a folder of results, which one process at a time may write to."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOCK = ".zsad-inspect.lock"


def locked(folder: Path) -> int:
    """The descriptor of a file in a folder, which is made; it is locked until the process ends or closes it.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: the folder or the file cannot be made, or the disk has no locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock
