"""What Python files import of the package, kept from one start of the workflow to the next.

Every start asks for the modules behind all rules, and parsing them took a fifth of its seconds. An entry is found by
the SHA-256 of a file's bytes, and all entries by that of the code that reads imports, so that none is ever out of
date. They lie in one file of the user's own cache, which is written whole or not at all. What cannot be read or
written there is no error, and is parsed anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from zsad.errors import DataError
from zsad.files.atomic import write_text
from zsad.files.user_paths import user_cache

MOST = 4096  # files; of more, those that this process has asked for are kept alone

Names = tuple[str, ...]


class KnownImports:
    """The names that files import, by their content.

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
            find: finds them, where they are not known.
        """
        key = _digest(content)
        if key not in self._asked:
            kept = self._kept.get(key)
            self._asked[key] = find() if kept is None else kept
        return self._asked[key]

    def keep(self) -> None:
        """Keep what has been found since."""
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
    """What is kept; nothing if it is not whole."""
    try:
        content = json.loads(place.read_bytes()) if place is not None else {}
        kept = {key: tuple(names) for key, names in content.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    return kept if all(isinstance(name, str) for names in kept.values() for name in names) else {}
