"""Write files completely or not at all.

Each file is written under a temporary name in its own folder and renamed when it is complete, so that a killed job
leaves nothing that looks finished.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zsad.errors import DataError
from zsad.errors.system import is_of_writing, system_sentence


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` on success, remove it on failure.

    Remains of an earlier, killed attempt at the same file are removed first.

    Raises:
        DataError: the disk has no space or no inode left, fails, or is not writable.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f".{path.name}.*.tmp"):
        stale.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # Errors of other files are left to the block itself.
        sentence = system_sentence(error, path) if is_of_writing(error, temporary) else None
        if sentence is None:
            raise
        raise DataError(sentence) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file completely or not at all (UTF-8, Unix line ends)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
