"""How Snakemake is told of files that people made and named: by name, or by a digest where it would misread the name.

Snakemake reads ``{word}`` in a path as a wildcard and ``<word>`` as a path variable, and has no way to escape either. A
file with such a name cannot be an input. Its size and time of change go into a parameter instead, so that a changed
file makes the same steps run again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

SYNTAX = frozenset("{}<>")


def is_literal(path: str | Path) -> bool:
    """Whether Snakemake takes the path as it is written."""
    return SYNTAX.isdisjoint(str(path))


def literal(paths: Iterable[str | Path]) -> list[str]:
    """The paths that can be inputs, in their order."""
    return [Path(path).as_posix() for path in paths if is_literal(path)]


def stamp(paths: Iterable[str | Path]) -> str:
    """A digest of names, sizes and times of the files that cannot be inputs, hexadecimal; empty if none."""
    states = [_state(Path(path)) for path in paths if not is_literal(path)]
    return hashlib.sha256(repr(states).encode()).hexdigest() if states else ""


def _state(path: Path) -> tuple[str, int, int]:
    """Path, size in bytes and time of change in ns; -1 for what is absent."""
    try:
        status = path.stat()
    except OSError:
        return path.as_posix(), -1, -1
    return path.as_posix(), status.st_size, status.st_mtime_ns
