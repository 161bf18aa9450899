"""Long lists of paths, cut down to what somebody reads; everything else stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

MOST = 6  # paths that are shown in full
SHOWN = 3  # of more than that
CLAUSE = re.compile(r"(;\s)")  # reasons of Snakemake, one after the other


def shortened_list(paths: Sequence[str]) -> list[str]:
    """The paths, or the first few and how many more there are."""
    if len(paths) <= MOST:
        return list(paths)
    return [*paths[:SHOWN], f"... and {len(paths) - SHOWN:,} more"]


def shortened_text(text: str) -> str:
    """A text with its lists of paths shortened: those with commas on a line, and those with a line for each."""
    lines = [shortened_line(line) for line in text.split("\n")]
    return "\n".join(line for run in _runs(lines) for line in run)


def shortened_line(line: str) -> str:
    """A line with its lists of paths shortened, clause by clause."""
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
    """Lines one after the other that are a path each, of one indentation, shortened; the others as they are."""
    for (is_path, indent), group in groupby(lines, key=lambda line: (_is_path(line), _indent(line))):
        run = list(group)
        if is_path and len(run) > MOST:
            yield [*run[:SHOWN], f"{indent}... and {len(run) - SHOWN:,} more"]
        else:
            yield run


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _is_path(line: str) -> bool:
    """Whether an indented line is a path and nothing else: of a traceback's or a log's lines none is."""
    text = line.strip()
    return bool(_indent(line)) and "/" in text and not text.startswith(("File ", '"')) and ": " not in text
