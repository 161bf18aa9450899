"""Tables to read: their figures, and which of them are the best. Markdown, LaTeX and the page show the same tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from zsad.tables.missing import MISSING
from zsad.tables.notation import NOT_AVAILABLE, beside, decimals, percent, quantity, signed


@dataclass(frozen=True)
class Figure:
    """A number as it is shown; made by `share`, `mean_number`, `change`, `amount`, `count` and `record`.

    Attributes:
        text: the figure; ``n/a`` if there is none.
        order: by what rows are sorted and the best is told; NaN if nothing is known.
        beside: what stands beside it, on the page in smaller print; may be empty.
        direction: ``"up"`` for a change to the better, ``"down"`` to the worse, or empty.
        bar: how the page draws a share below the figure, ``"helped"`` or ``"harmed"``; empty for not at all.
        best, second: in its group, set in bold and underlined.
        best_of_all: in its table.
    """

    text: str
    order: float
    beside: str = ""
    direction: str = ""
    bar: str = ""
    best: bool = False
    second: bool = False
    best_of_all: bool = False

    @property
    def is_known(self) -> bool:
        """Whether there is a figure."""
        return not math.isnan(self.order)


def share(
    value: float,
    low: float = math.nan,
    high: float = math.nan,
    deviation: float = math.nan,
    *,
    total: float = math.nan,
    bar: str = "",
) -> Figure:
    """A share, in 0..1, with its 95 % interval and its standard deviation over seeds; NaN for what is not known.

    Args:
        total: what it is a share of; takes the place of the interval.
    """
    if math.isnan(value):
        return Figure(NOT_AVAILABLE, value)
    added = beside(low, high, deviation) if math.isnan(total) else f"(of {total:.4g})"
    return Figure(percent(value), value, added, bar=bar)


def mean_number(value: float, low: float = math.nan, high: float = math.nan, deviation: float = math.nan) -> Figure:
    """A mean number of things, with what `share` has beside it; NaN for what is not known."""
    if math.isnan(value):
        return Figure(NOT_AVAILABLE, value)
    return Figure(decimals(value), value, beside(low, high, deviation, written=decimals))


def change(before: float, after: float, *, less_is_better: bool = False) -> Figure:
    """A share before and after, in 0..1, with the gain as the printed figures have it; NaN for what is not known."""
    if math.isnan(before) or math.isnan(after):
        return Figure(percent(after), after)
    gain = (float(percent(after)) - float(percent(before))) / 100
    better = (gain > 0) != less_is_better
    direction = "" if abs(gain) < 0.0005 else "up" if better else "down"
    return Figure(f"{percent(before)} → {percent(after)}", gain, f"({signed(gain)})", direction)


def amount(value: float) -> Figure:
    """Seconds or megabytes, with three digits that count."""
    return Figure(quantity(value), value)


def count(number: float) -> Figure:
    """A number of things."""
    return Figure(NOT_AVAILABLE if math.isnan(number) else f"{number:.0f}", number)


def record(
    counts: Sequence[int], difference: float = math.nan, low: float = math.nan, high: float = math.nan
) -> Figure:
    """Wins, ties and losses, and the difference on the mean with its 95 % limits, NaN where it is not told."""
    interval = "" if math.isnan(low + high) else f"({signed(low)} to {signed(high)})"
    words = " ".join(filter(None, (signed(difference), interval)))
    direction = "up" if low > 0 else "down" if high < 0 else ""
    return Figure(" / ".join(map(str, counts)), counts[0] - counts[-1], words, direction)


Entry: TypeAlias = str | Figure


@dataclass(frozen=True)
class Table:
    """A table of text and figures.

    Attributes:
        title: heading, or caption.
        header: column titles.
        rows: text or a `Figure` for each column.
        note: a sentence or more on how to read it; may be empty.
        apart: whether rows are set apart where the text of their first column changes.
        meanings: what texts of the first column mean, in words, where the page says it.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    note: str = ""
    apart: bool = False
    meanings: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_numeric(self) -> list[bool]:
        """Of each column, whether it holds figures."""
        return [any(isinstance(row[column], Figure) for row in self.rows) for column in range(len(self.header))]


def marked(figures: Sequence[Figure], groups: Sequence[str]) -> list[Figure]:
    """Figures that compete, the best marked: in each group, with the second of three or more, and of all.

    What prints alike is equally good, and where all of a group prints alike nothing is marked.
    """
    best_of_all = _places(figures)[0]
    places = {
        group: _places([figure for figure, its_group in zip(figures, groups, strict=True) if its_group == group])
        for group in dict.fromkeys(groups)
    }
    return [
        replace(
            figure,
            best=figure.text == places[group][0],
            second=figure.text == places[group][1],
            best_of_all=figure.text == best_of_all,
        )
        for figure, group in zip(figures, groups, strict=True)
    ]


def _places(figures: Sequence[Figure]) -> tuple[str | None, str | None]:
    """The best and the second figure as they print; None where nothing is to be marked."""
    ordered = sorted((figure for figure in figures if figure.is_known), key=lambda figure: -figure.order)
    printed = list(dict.fromkeys(figure.text for figure in ordered))
    if len(printed) < 2 and len(ordered) == len(figures):
        return None, None
    best = printed[0] if printed else None
    return best, printed[1] if len(printed) > 1 and len(figures) > 2 else None


def without_unknown(table: Table) -> Table:
    """The table without the columns of figures that no row has one for, and the rows that have none in any column."""
    columns = [[row[column] for row in table.rows] for column in range(len(table.header))]
    kept = [column for column, entries in enumerate(columns) if _tells(entries)]
    rows = [[row[column] for column in kept] for row in table.rows]
    return replace(table, header=[table.header[column] for column in kept], rows=[row for row in rows if _tells(row)])


def has_figures(table: Table) -> bool:
    """Whether any cell that should have a figure has one; in a table of images without labels none has."""
    figures = [entry for row in table.rows for entry in row if isinstance(entry, Figure)]
    return bool(table.rows) and (not figures or any(figure.is_known for figure in figures))


def has_gaps(table: Table) -> bool:
    """Whether any figure is not known."""
    return any(isinstance(entry, Figure) and not entry.is_known for row in table.rows for entry in row)


def _tells(entries: Sequence[Entry]) -> bool:
    """Whether a row or column has a figure, or is none of figures, or says that they are missing."""
    figures = [entry for entry in entries if isinstance(entry, Figure)]
    return not figures or MISSING in entries or any(figure.is_known for figure in figures)


def with_column(table: Table, title: str, entries: Sequence[Entry]) -> Table:
    """The table with a further column."""
    rows = [[*row, entry] for row, entry in zip(table.rows, entries, strict=True)]
    return replace(table, header=[*table.header, title], rows=rows)
