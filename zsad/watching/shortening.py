"""Shorten long lists of paths in messages; all other text is unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

MOST = 6  # paths that are shown in full
SHOWN = 3  # of longer lists
CLAUSE = re.compile(r"(;\s)")  # between Snakemake's reasons


def shortened_list(paths: Sequence[str]) -> list[str]:
    """The paths, or the first few and the number of further ones."""
    if len(paths) <= MOST:
        return list(paths)
    return [*paths[:SHOWN], f"... and {len(paths) - SHOWN:,} more"]


def shortened_text(text: str) -> str:
    """Shorten the lists of paths in a text: lists with commas on one line, and lists with one path per line."""
    lines = [shortened_line(line) for line in text.split("\n")]
    return "\n".join(line for run in _runs(lines) for line in run)


def shortened_line(line: str) -> str:
    """Shorten the lists of paths in a line, clause by clause."""
    return "".join(_clause(part) for part in CLAUSE.split(line))


def _clause(clause: str) -> str:
    pieces = clause.split(", ")
    shown: list[str] = []
    for is_path, group in groupby(pieces, key=_holds_path):
        some = list(group)
        shown += shortened_list(some) if is_path else some
    return ", ".join(shown)


def _holds_path(piece: str) -> bool:
    return "/" in piece


def _runs(lines: list[str]) -> Iterator[list[str]]:
    """Shorten runs of lines that are one path each with equal indentation; other lines are unchanged."""
    for (is_path, indent), group in groupby(lines, key=lambda line: (_is_path(line), _indent(line))):
        run = list(group)
        if is_path and len(run) > MOST:
            yield [*run[:SHOWN], f"{indent}... and {len(run) - SHOWN:,} more"]
        else:
            yield run


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _is_path(line: str) -> bool:
    """Whether an indented line is only a path; lines of tracebacks and logs are not."""
    text = line.strip()
    return bool(_indent(line)) and "/" in text and not text.startswith(("File ", '"')) and ": " not in text
