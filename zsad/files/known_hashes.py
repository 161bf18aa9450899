"""Cache of the hashes of large files: a file of weights is hashed once, not by every job.

A cached hash is used for a file with the same path, inode, size, and change times (of content and of inode) in
nanoseconds. A file that was changed less than two seconds before it was read is hashed each time: with a clock of that
resolution another change may have the same time. A change that keeps the size and both times, such as flipped bits on a
disk, is not detected here: ``zsad download`` reads the whole file again.

The hashes are in the user's own cache, never in a shared folder, where other users could change them. Each hash is one
file, written completely or not at all, so that parallel jobs do not disturb each other. An unreadable or unwritable
cache is not an error: the file is hashed again.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from zsad.errors import DataError
from zsad.files.atomic import atomic_path
from zsad.files.provenance import file_sha256
from zsad.files.user_paths import user_cache
from zsad.timing import HASHES, counted

SMALL = 2**22  # bytes; below, reading a file is as fast as looking up its hash
SETTLED_NS = 2 * 10**9  # the coarsest resolution of a file system's times, as of FAT
HEXADECIMAL = frozenset("0123456789abcdef")

Clock = Callable[[], int]

logger = logging.getLogger(__name__)


@counted(HASHES)
def known_sha256(path: str | Path, *, anew: bool = False, clock: Clock = time.time_ns) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; from the cache if the file is unchanged.

    Args:
        anew: always read the file.
        clock: the time now, in nanoseconds since 1970.

    Raises:
        OSError: the file cannot be read.
    """
    before = _state(path)
    if before["size"] < SMALL:
        return file_sha256(path)
    kept = _kept(before)
    if not anew and kept is not None and _is_settled(before, clock()) and os.access(path, os.R_OK):
        return kept
    begun = clock()
    digest = file_sha256(path)
    if digest != kept and _is_settled(before, begun) and _state(path) == before:
        _keep(before, digest)
    return digest


def _state(path: str | Path) -> dict[str, Any]:
    """The facts that identify a file's state; they change, or may change, with its content."""
    resolved = Path(path).resolve(strict=True)
    found = resolved.stat()
    return {
        "path": os.fsdecode(resolved).encode(errors="backslashreplace").decode(),
        "size": found.st_size,
        "inode": found.st_ino,
        "changed_ns": found.st_mtime_ns,
        "entry_changed_ns": found.st_ctime_ns,
    }


def _is_settled(state: dict[str, Any], now: int) -> bool:
    """Whether a further change would show in the times of a file: they are older than their resolution."""
    latest: int = max(state["changed_ns"], state["entry_changed_ns"])
    return latest + SETTLED_NS < now


def _place(state: dict[str, Any]) -> Path | None:
    folder = user_cache("sha256")
    return None if folder is None else folder / f"{sha256(state['path'].encode()).hexdigest()[:32]}.json"


def _kept(state: dict[str, Any]) -> str | None:
    """The cached hash of a file in this state; None if there is none, or it is damaged."""
    place = _place(state)
    try:
        entry = json.loads(place.read_bytes()) if place is not None else None
    except (OSError, ValueError):
        return None
    digest = entry.get("sha256") if isinstance(entry, dict) else None
    is_whole = isinstance(digest, str) and len(digest) == 64 and HEXADECIMAL.issuperset(digest)
    return digest if is_whole and entry == {**state, "sha256": digest} else None


def _keep(state: dict[str, Any], digest: str) -> None:
    place = _place(state)
    if place is None:
        return
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with atomic_path(place) as temporary:
            temporary.write_text(json.dumps({**state, "sha256": digest}))
    except (OSError, DataError) as error:
        logger.debug("the hash of %s is not cached: %s", state["path"], error)
