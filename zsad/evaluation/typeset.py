"""Tables as text: Markdown for GitHub, and LaTeX with booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

_LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


class Cell(NamedTuple):
    """A percentage with what it needs to be read.

    Attributes:
        value: in 0..1; NaN prints as a dash.
        margin: half the width of its 95 % confidence interval, in 0..1; NaN prints nothing.
        best, second: set in bold, underlined.
    """

    value: float
    margin: float = float("nan")
    best: bool = False
    second: bool = False


class Change(NamedTuple):
    """A percentage before and after, in 0..1; NaN prints as a dash."""

    before: float
    after: float


@dataclass(frozen=True)
class Table:
    """A table of text and percentages.

    Attributes:
        title: heading, or caption.
        header: column titles.
        rows: text, `Cell` or `Change` for each column.
        note: a sentence or more on how to read it; may be empty.
        apart: whether rows are set apart where the text of their first column changes.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell | Change]]
    note: str = ""
    apart: bool = False


def percent(value: float) -> str:
    """A share as a percentage with one decimal; a dash for NaN."""
    return f"{100 * value:.1f}" if value == value else "–"


def markdown_text(text: str) -> str:
    """Text with what Markdown would read as markup escaped."""
    return re.sub(r"([\\|*`<>\[\]])", r"\\\1", text)


def latex_text(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(_LATEX_ESCAPES.get(character, character) for character in text)


def markdown_table(table: Table) -> str:
    """A heading of level 2, the note and the table; columns of percentages are aligned right."""
    numeric = _numeric_columns(table)
    lines = [
        f"## {markdown_text(table.title)}",
        "",
        *([markdown_text(table.note), ""] if table.note else []),
        _markdown_row([markdown_text(title) for title in table.header]),
        _markdown_row(["---:" if right else "---" for right in numeric]),
    ]
    lines += [_markdown_row([_markdown_cell(cell) for cell in row]) for row in table.rows]
    return "\n".join(lines) + "\n"


def latex_table(table: Table) -> str:
    """A table environment with booktabs rules, the note a comment; columns of percentages are aligned right.

    It has a label, and a table that is wider than the text is made as wide as that (graphicx).
    """
    columns = "".join("r" if right else "l" for right in _numeric_columns(table))
    lines = [
        *([f"% {table.note}"] if table.note else []),
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(table.title)}}}",
        rf"\label{{tab:{_slug(table.title)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _latex_row([latex_text(title) for title in table.header]),
        r"\midrule",
        *_latex_rows(table),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _latex_rows(table: Table) -> list[str]:
    lines = []
    for index, row in enumerate(table.rows):
        if table.apart and index and row[0] != table.rows[index - 1][0]:
            lines.append(r"\midrule")
        lines.append(_latex_row([_latex_cell(cell) for cell in row]))
    return lines


def _numeric_columns(table: Table) -> list[bool]:
    return [not all(isinstance(row[column], str) for row in table.rows) for column in range(len(table.header))]


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(cell: str | Cell | Change) -> str:
    if isinstance(cell, str):
        return markdown_text(cell)
    if isinstance(cell, Change):
        return f"{percent(cell.before)} → {percent(cell.after)}"
    number = percent(cell.value)
    number = f"**{number}**" if cell.best else f"<u>{number}</u>" if cell.second else number
    return f"{number} ± {percent(cell.margin)}" if cell.margin == cell.margin else number


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: str | Cell | Change) -> str:
    if isinstance(cell, str):
        return latex_text(cell)
    if isinstance(cell, Change):
        return rf"{_latex_percent(cell.before)} $\to$ {_latex_percent(cell.after)}"
    number = _latex_percent(cell.value)
    number = rf"\textbf{{{number}}}" if cell.best else rf"\underline{{{number}}}" if cell.second else number
    return rf"{number} $\pm$ {percent(cell.margin)}" if cell.margin == cell.margin else number


def _latex_percent(value: float) -> str:
    return percent(value).replace("–", "--")
