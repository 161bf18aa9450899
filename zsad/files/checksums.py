"""Checksums of tables, in the format of ``sha256sum``, to detect tables that were changed after a run."""

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
    """Reject files that differ from what was written.

    Args:
        files: None stands for a file that is not made, and is skipped.
        checksums: as `write_checksums` wrote them.

    Raises:
        DataError: a file is missing, not in the list, or differs from the list; or the list does not exist.
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
    """Read checksums by file name."""
    try:
        lines = [_LINE.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except UnicodeDecodeError:
        lines = []
    if not lines or None in lines:
        raise DataError(f"{path} is not a list of checksums; delete it and run again")
    return {line[2]: line[1] for line in lines if line}
