"""Tables to read: their figures, and the marks of the best ones. Markdown, LaTeX and the page show the same tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from zsad.tables.missing import MISSING
from zsad.tables.notation import NOT_AVAILABLE, decimals, percent, quantity, signed, spread_and_interval


@dataclass(frozen=True)
class Figure:
    """A number as it is shown; made by `share`, `mean_number`, `change`, `amount`, `count` and `record`.

    Attributes:
        text: the figure; ``n/a`` if there is none.
        order: the value for sorting rows and finding the best; NaN if unknown.
        beside: text beside the figure, on the page in smaller print; may be empty.
        direction: ``"up"`` for an improvement, ``"down"`` for a loss, or empty.
        bar: style of a bar below the figure on the page, ``"helped"`` or ``"harmed"``; empty for none.
        best, second: whether it is the best or second of its group, shown in bold and underlined.
        best_of_all: whether it is the best of its table.
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
    """A share, in 0..1, with its 95 % interval and its standard deviation over seeds; NaN if unknown.

    Args:
        total: the number behind the share; shown instead of the interval.
    """
    if math.isnan(value):
        return Figure(NOT_AVAILABLE, value)
    added = spread_and_interval(low, high, deviation) if math.isnan(total) else f"(of {total:.4g})"
    return Figure(percent(value), value, added, bar=bar)


def mean_number(value: float, low: float = math.nan, high: float = math.nan, deviation: float = math.nan) -> Figure:
    """A mean count, with deviation and interval as of `share`; NaN if unknown."""
    if math.isnan(value):
        return Figure(NOT_AVAILABLE, value)
    return Figure(decimals(value), value, spread_and_interval(low, high, deviation, written=decimals))


def change(before: float, after: float, *, less_is_better: bool = False) -> Figure:
    """A share before and after, in 0..1, with the gain between the printed figures; NaN if unknown."""
    if math.isnan(before) or math.isnan(after):
        return Figure(percent(after), after)
    gain = (float(percent(after)) - float(percent(before))) / 100
    better = (gain > 0) != less_is_better
    direction = "" if abs(gain) < 0.0005 else "up" if better else "down"
    return Figure(f"{percent(before)} → {percent(after)}", gain, f"({signed(gain)})", direction)


def amount(value: float) -> Figure:
    """Seconds or megabytes, with three significant digits."""
    return Figure(quantity(value), value)


def count(number: float) -> Figure:
    """A count."""
    return Figure(NOT_AVAILABLE if math.isnan(number) else f"{number:.0f}", number)


def record(
    counts: Sequence[int], difference: float = math.nan, low: float = math.nan, high: float = math.nan
) -> Figure:
    """Wins, ties and losses, and the difference of the means with its 95 % limits, NaN if it is not shown."""
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
        rows: a text or a `Figure` for each column.
        note: one or more sentences on how to read it; may be empty.
        apart: whether rows are grouped by the text of their first column.
        meanings: explanations of texts of the first column, for the page.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    note: str = ""
    apart: bool = False
    meanings: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_numeric(self) -> list[bool]:
        """Whether each column contains figures."""
        return [any(isinstance(row[column], Figure) for row in self.rows) for column in range(len(self.header))]


def marked(figures: Sequence[Figure], groups: Sequence[str]) -> list[Figure]:
    """Mark the best of competing figures: in each group, with the second of three or more, and of all.

    Figures with the same printed text are equally good; if all figures of a group are equal, none is marked.
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
    """The printed texts of the best and second figure; None if nothing is marked."""
    ordered = sorted((figure for figure in figures if figure.is_known), key=lambda figure: -figure.order)
    printed = list(dict.fromkeys(figure.text for figure in ordered))
    if len(printed) < 2 and len(ordered) == len(figures):
        return None, None
    best = printed[0] if printed else None
    return best, printed[1] if len(printed) > 1 and len(figures) > 2 else None


def without_unknown(table: Table) -> Table:
    """The table without columns and rows that have no known figure."""
    columns = [[row[column] for row in table.rows] for column in range(len(table.header))]
    kept = [column for column, entries in enumerate(columns) if _is_informative(entries)]
    rows = [[row[column] for column in kept] for row in table.rows]
    return replace(
        table, header=[table.header[column] for column in kept], rows=[row for row in rows if _is_informative(row)]
    )


def has_figures(table: Table) -> bool:
    """Whether any cell has a known figure; without labels no cell of a table of metrics has one."""
    figures = [entry for row in table.rows for entry in row if isinstance(entry, Figure)]
    return bool(table.rows) and (not figures or any(figure.is_known for figure in figures))


def has_gaps(table: Table) -> bool:
    """Whether any figure is unknown."""
    return any(isinstance(entry, Figure) and not entry.is_known for row in table.rows for entry in row)


def _is_informative(entries: Sequence[Entry]) -> bool:
    """Whether a row or column has a known figure, has only text, or says that results are missing."""
    figures = [entry for entry in entries if isinstance(entry, Figure)]
    return not figures or MISSING in entries or any(figure.is_known for figure in figures)


def with_column(table: Table, title: str, entries: Sequence[Entry]) -> Table:
    """The table with a further column."""
    rows = [[*row, entry] for row, entry in zip(table.rows, entries, strict=True)]
    return replace(table, header=[*table.header, title], rows=rows)
