"""The width of text in LaTeX's typeface, and the columns of a table that fit into a line together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib

TEXT_WIDTH = 345.0  # pt, of the class article on A4 paper, at its 10 pt
COLUMN_GAP = 6.0  # pt between columns; \tabcolsep is half of it

_POINTS = 8.0  # \footnotesize
_NARROW = 1.0625  # relative width of letters of 8 pt, for their height, compared with the measured 10 pt
_BOLD = 1.12
_ELSEWHERE = {"±": 0.78, "→": 1.0, "–": 0.5, "—": 1.0, "·": 0.28, "×": 0.78, " ": 0.334}
_UNKNOWN = 1.0  # em, of a character that the typeface does not have; none is wider
_KEYS_SHARE = 0.6  # largest share of the line for the columns that identify a row
_COLUMN_SHARE = 0.35  # largest share of the line for any other column


def text_width(text: str, *, bold: bool = False) -> float:
    """Width in pt of ``text`` in Computer Modern Roman of 8 pt."""
    ems = sum(_ELSEWHERE.get(character) or _letters().get(character, _UNKNOWN) for character in text)
    return ems * _POINTS * _NARROW * (_BOLD if bold else 1.0)


def limited(widths: Sequence[float], least: Sequence[float], keys: int) -> list[float]:
    """Reduce the widest columns so that the first ``keys`` columns and any other one fit into a line.

    Args:
        least: width that each column needs for its longest unbreakable piece of text.
    """
    greatest = _KEYS_SHARE * TEXT_WIDTH - keys * COLUMN_GAP
    most = _COLUMN_SHARE * TEXT_WIDTH
    cut = [*_cut(widths[:keys], greatest), *(min(width, most) for width in widths[keys:])]
    return [max(width, min(needed, most)) for width, needed in zip(cut, least, strict=True)]


def parts(widths: Sequence[float], keys: int) -> list[list[int]]:
    """Split the columns into as few parts as possible that fit into a line each; all have the first ``keys``."""
    left = TEXT_WIDTH - sum(widths[:keys]) - keys * COLUMN_GAP
    others = range(keys, len(widths))
    greedy = _filled(widths, others, left, len(widths))
    even = _filled(widths, others, left, -(-len(others) // max(1, len(greedy))))
    chosen = even if len(even) == len(greedy) else greedy
    return [[*range(keys), *part] for part in chosen] or [list(range(keys))]


def _filled(widths: Sequence[float], columns: Sequence[int], room: float, most: int) -> list[list[int]]:
    found: list[list[int]] = []
    left = 0.0
    for column in columns:
        needed = widths[column] + COLUMN_GAP
        if not found or needed > left or len(found[-1]) == most:
            found.append([])
            left = room
        found[-1].append(column)
        left -= needed
    return found


def _cut(widths: Sequence[float], total: float) -> list[float]:
    """The widths; if their sum exceeds ``total``, the widest are reduced to a common width."""
    if sum(widths) <= total:
        return list(widths)
    left, ordered = total, sorted(widths)
    for place, width in enumerate(ordered):
        share = left / (len(ordered) - place)
        if width > share:
            return [min(one, share) for one in widths]
        left -= width
    return list(widths)


@cache
def _letters() -> dict[str, float]:
    """Widths in em of the ASCII letters of Computer Modern Roman, from the font metrics in matplotlib."""
    metrics = Path(matplotlib.get_data_path()) / "fonts" / "afm" / "cmr10.afm"
    found = re.findall(r"^C (\d+) ; WX (\d+)", metrics.read_text(encoding="latin-1"), re.M)
    return {chr(int(code)): int(width) / 1000 for code, width in found if 32 < int(code) < 127}
