"""Inspect photographs that appear in folders: each when it is completely written, and again if it is replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from zsad.errors import DataError
from zsad.inspecting.inspection import Failure, Inspection
from zsad.inspecting.photographs import left_out, photographs_below
from zsad.inspecting.stopping import Stopping

INTERVAL = 0.2  # seconds between two checks of a folder; a file that changed between them is still being written
PATIENCE = 5.0  # seconds to wait until an unreadable file may be complete

InspectAll = Callable[[Iterable[Path]], Iterator[Inspection | Failure]]


class Stamp(NamedTuple):
    """Properties of a file that change with its content, without reading it."""

    file: int
    bytes: int
    changed: int


class FolderWatch:
    """Folders that are checked regularly.

    Args:
        folders: with their subfolders; files that exist at the start count as new.
        out: folder of results, which is skipped.
        clock: gives seconds.

    Raises:
        ConfigError: the results would be among the photographs.
        DataError: one is not a folder.
    """

    def __init__(
        self, folders: Sequence[Path], out: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        for folder in folders:
            if not folder.is_dir():
                fault = "is not a folder" if folder.exists() else "does not exist"
                raise DataError(f"{folder} {fault}; --watch needs a folder")
            left_out(folder, out)
        self._folders, self._out, self._clock = folders, out, clock
        self._done: dict[Path, Stamp] = {}
        self._since: dict[Path, tuple[Stamp, float]] = {}

    def inspected(self, inspect_all: InspectAll, stopping: Stopping) -> Iterator[Inspection | Failure]:
        """Inspect new photographs, until the process is asked to end."""
        while not stopping.is_asked:
            for said in inspect_all(self.ready()):
                if self.counts(said):
                    yield said
                if stopping.is_asked:
                    return
            stopping.wait(INTERVAL)

    def ready(self) -> list[Path]:
        """The photographs that are new and have not changed since the last check."""
        stamps = {path: stamp for path in self._photographs() if (stamp := _stamp(path))}
        self._done = {path: stamp for path, stamp in self._done.items() if path in stamps}
        before, self._since = self._since, {}
        for path, stamp in stamps.items():
            if self._done.get(path) != stamp:
                known = before.get(path)
                self._since[path] = known if known and known[0] == stamp else (stamp, self._clock())
        return [path for path, known in self._since.items() if before.get(path) == known]

    def counts(self, said: Inspection | Failure) -> bool:
        """Whether a result is final: an unreadable file that was written recently is read again."""
        if said.path is None or said.path not in self._since:
            return True
        stamp, since = self._since[said.path]
        if isinstance(said, Failure) and self._clock() - since < PATIENCE:
            return False
        self._done[said.path] = stamp
        return True

    def _photographs(self) -> Iterator[Path]:
        for folder in self._folders:
            yield from photographs_below(folder, self._out)


def _stamp(path: Path) -> Stamp | None:
    """The stamp of a file; None if it no longer exists."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns)
