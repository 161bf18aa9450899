"""Checksums beside tables, as ``sha256sum`` writes them: a table that was changed is told from one that a run made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from zsad.errors import DataError
from zsad.files.atomic import write_text
from zsad.files.provenance import file_sha256

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def write_checksums(path: Path, files: Iterable[Path]) -> None:
    """Write the SHA-256 of files in the same folder, by their names, so that ``sha256sum -c`` checks them there."""
    write_text(path, "".join(f"{file_sha256(file)}  {file.name}\n" for file in files))


def require_unchanged(files: Iterable[Path | None], checksums: Path) -> None:
    """Refuse files that are not what was written.

    Args:
        files: None stands for one that is not made and is passed over.
        checksums: as `write_checksums` wrote them.

    Raises:
        DataError: a file is absent, not in the list, or differs from what the list says; or there is no such list.
    """
    known = _read(checksums)
    for file in filter(None, files):
        if file.name not in known:
            raise DataError(f"{checksums} does not list {file.name}; delete both and run again")
        try:
            found = file_sha256(file)
        except FileNotFoundError:
            raise DataError(f"{file} does not exist; run the step that makes it") from None
        if found != known[file.name]:
            raise DataError(
                f"{file} was changed after it was made; delete it and run again, and keep edits in a copy elsewhere"
            )


def _read(path: Path) -> dict[str, str]:
    """Checksums by name of file."""
    try:
        lines = [_LINE.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except UnicodeDecodeError:
        lines = []
    if not lines or None in lines:
        raise DataError(f"{path} is no list of checksums; delete it and run again")
    return {line[2]: line[1] for line in lines if line}
