"""Cache of the package imports of Python files, kept between starts of the workflow.

Every start needs the modules of all rules, and parsing them took a fifth of its time. The key of an entry is the
SHA-256 of a file's bytes, and that of the cache the SHA-256 of the code that reads imports, so that no entry is ever
outdated. The cache is one file of the user, written completely or not at all. An unreadable or unwritable cache is not
an error: files are parsed again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from zsad.errors import DataError
from zsad.files.atomic import write_text
from zsad.files.user_paths import user_cache

MOST = 4096  # files; beyond this, only those requested by this process are kept

Names = tuple[str, ...]


class KnownImports:
    """The imported names of files, by their content.

    Args:
        reader: the module that finds them.
    """

    def __init__(self, reader: Path) -> None:
        folder = user_cache("imports")
        self._place = None if folder is None else folder / f"{_digest(reader.read_bytes())}.json"
        self._kept = _read(self._place)
        self._asked: dict[str, Names] = {}

    def of(self, content: bytes, find: Callable[[], Names]) -> Names:
        """The names in a file.

        Args:
            content: its bytes.
            find: finds the names if they are unknown.
        """
        key = _digest(content)
        if key not in self._asked:
            kept = self._kept.get(key)
            self._asked[key] = find() if kept is None else kept
        return self._asked[key]

    def keep(self) -> None:
        """Save the names found since."""
        if self._place is None or self._asked.keys() <= self._kept.keys():
            return
        together = _read(self._place) | self._asked
        self._kept = together if len(together) <= MOST else dict(self._asked)
        try:
            write_text(self._place, json.dumps(self._kept))
        except (OSError, DataError):
            self._place = None


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:32]


def _read(place: Path | None) -> dict[str, Names]:
    """Read the cache; empty if it is damaged."""
    try:
        content = json.loads(place.read_bytes()) if place is not None else {}
        kept = {key: tuple(names) for key, names in content.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    return kept if all(isinstance(name, str) for names in kept.values() for name in names) else {}
