"""Tables to read: their figures, and which of them are the best. Markdown, LaTeX and the page show the same tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from zsad.tables.missing import MISSING
from zsad.tables.notation import NOT_AVAILABLE, beside, percent, quantity, signed


@dataclass(frozen=True)
class Figure:
    """What is shown of a number, as all kinds of it are.

    Attributes:
        best, second: in its group, set in bold and underlined.
        best_of_all: in its table.
        bar: how the page draws a share below the figure, ``"helped"`` or ``"harmed"``; empty for not at all.
    """

    best: bool = field(default=False, kw_only=True)
    second: bool = field(default=False, kw_only=True)
    best_of_all: bool = field(default=False, kw_only=True)
    bar: str = field(default="", kw_only=True)

    @property
    def text(self) -> str:
        """The figure; ``n/a`` if there is none."""
        return percent(self.order)

    @property
    def beside(self) -> str:
        """What stands beside it in smaller print, where there is smaller print; may be empty."""
        return ""

    @property
    def order(self) -> float:
        """By what rows are sorted; NaN if nothing is known."""
        return math.nan

    @property
    def is_known(self) -> bool:
        """Whether there is a figure."""
        return not math.isnan(self.order)

    @property
    def direction(self) -> str:
        """``"up"`` for the better, ``"down"`` for the worse, or empty: what the figure says of a change."""
        return ""


@dataclass(frozen=True)
class Cell(Figure):
    """A share, in 0..1, with its 95 % interval and its standard deviation over seeds; NaN for each that is not known.

    Attributes:
        total: what it is a share of; NaN if that is not said.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    deviation: float = math.nan
    total: float = math.nan

    @property
    def order(self) -> float:
        """The share."""
        return self.value

    @property
    def beside(self) -> str:
        """Deviation and interval, or what it is a share of."""
        if not self.is_known:
            return ""
        return beside(self.low, self.high, self.deviation) if math.isnan(self.total) else f"(of {self.total:.4g})"


@dataclass(frozen=True)
class Change(Figure):
    """A share before and after, in 0..1, NaN where not known; ``less_is_better`` of what should not be there."""

    before: float
    after: float
    less_is_better: bool = False

    @property
    def text(self) -> str:
        """Before and after, or after alone if nothing was before."""
        if math.isnan(self.before):
            return percent(self.after)
        return f"{percent(self.before)} → {percent(self.after)}"

    @property
    def beside(self) -> str:
        """The gain."""
        return f"({signed(self.gain)})" if self.is_known and not math.isnan(self.gain) else ""

    @property
    def gain(self) -> float:
        """After less before, as printed, so that the figures add up."""
        if math.isnan(self.before) or math.isnan(self.after):
            return math.nan
        return (float(percent(self.after)) - float(percent(self.before))) / 100

    @property
    def order(self) -> float:
        """The gain, or what is known in its place."""
        return self.after if math.isnan(self.gain) else self.gain

    @property
    def direction(self) -> str:
        """Of the gain."""
        if math.isnan(self.gain) or abs(self.gain) < 0.0005:
            return ""
        return "up" if (self.gain > 0) != self.less_is_better else "down"


@dataclass(frozen=True)
class Quantity(Figure):
    """Seconds or megabytes."""

    value: float

    @property
    def order(self) -> float:
        """The number."""
        return self.value

    @property
    def text(self) -> str:
        """Three digits that count."""
        return quantity(self.value)


@dataclass(frozen=True)
class Count(Quantity):
    """A number of things."""

    @property
    def text(self) -> str:
        """As it is."""
        return f"{self.value:.0f}" if self.is_known else NOT_AVAILABLE


@dataclass(frozen=True)
class Record(Figure):
    """Wins, ties and losses, and the difference on the mean with its interval, NaN where it is not told.

    Attributes:
        verdict: on the mean, as in ``comparisons.csv``; may be empty.
    """

    wins: int
    ties: int
    losses: int
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    verdict: str = ""

    @property
    def text(self) -> str:
        """The three counts."""
        return f"{self.wins} / {self.ties} / {self.losses}"

    @property
    def beside(self) -> str:
        """The difference."""
        interval = "" if math.isnan(self.low + self.high) else f"({signed(self.low)} to {signed(self.high)})"
        return " ".join(filter(None, (signed(self.difference), interval)))

    @property
    def order(self) -> float:
        """Wins less losses."""
        return float(self.wins - self.losses)

    @property
    def direction(self) -> str:
        """Of the verdict."""
        return {"win": "up", "loss": "down"}.get(self.verdict, "")


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


def _tells(entries: Sequence[Entry]) -> bool:
    """Whether a row or column has a figure, or is none of figures, or says that they are missing."""
    figures = [entry for entry in entries if isinstance(entry, Figure)]
    return not figures or MISSING in entries or any(figure.is_known for figure in figures)


def with_column(table: Table, title: str, entries: Sequence[Entry]) -> Table:
    """The table with a further column."""
    rows = [[*row, entry] for row, entry in zip(table.rows, entries, strict=True)]
    return replace(table, header=[*table.header, title], rows=rows)
