"""Tables as text: Markdown for GitHub, and LaTeX with booktabs."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from zsad.tables.latex_widths import COLUMN_GAP, limited, parts, text_width
from zsad.tables.table import Entry, Figure, Table

MOST_LINES = 45  # lines of a LaTeX table, which must fit on a page
_LOOSE = 1.25  # width of a narrow column relative to the lines of text in it
_FIGURE = re.compile(r"[-\d.,%±–+/ ]*|missing|n/a")
_LONGEST_PIECE = 15  # letters that stay together in a line
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")  # line breaks among them
_MARKDOWN = re.compile(
    r"[\\|*`<>\[\]~$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # between letters it is not markup
    r"|&(?=#?\w+;)"
    r"|\A[#+=-](?=[\s#=-]|\Z)"  # a heading, a rule, or an entry of a list
)
_NUMBERED = re.compile(r"\A(\d+)([.)])(?=\s|\Z)")
_LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\symbol{34}",  # a shorthand in some languages
    **{character: f"{{{character}}}" for character in "[]*"},  # an option after the end of a line or a rule otherwise
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_LATEX_SIGNS = str.maketrans({"–": "--", "−": "$-$", "±": r"$\pm$", "→": r"$\to$"})  # of figures


def markdown_text(text: str) -> str:
    """The text in one line, with the characters escaped that Markdown would read as markup."""
    return _NUMBERED.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\g<0>", _one_line(text)))


def latex_text(text: str) -> str:
    """The text in one line, with LaTeX's special characters escaped, and with ligatures avoided."""
    escaped = "".join(_LATEX_ESCAPES.get(character, character) for character in _one_line(text))
    return re.sub(r"([-',])(?=\1)", r"\1{}", escaped)


def _one_line(text: str) -> str:
    return _NO_TEXT.sub(" ", text).strip()


def markdown_table(table: Table) -> str:
    """A heading of level 2, the note and the table; columns of figures are aligned right."""
    lines = [
        f"## {markdown_text(table.title)}",
        "",
        *([markdown_text(table.note), ""] if table.note else []),
        _markdown_row([markdown_text(title) for title in table.header]),
        _markdown_row(["---:" if right else "---" for right in table.is_numeric]),
    ]
    lines += [_markdown_row([_markdown_cell(cell) for cell in row]) for row in table.rows]
    return "\n".join(lines) + "\n"


def latex_table(table: Table) -> str:
    r"""Table environments with captions, labels and booktabs rules, the note a comment.

    None is wider than the text of an article: columns that do not fit are in a further table, with the columns that
    identify the rows, and so are rows beyond a page; long text is broken into lines. ``\resizebox`` is for typefaces
    that are wider than LaTeX's own. Columns of figures are aligned right; the common text of a group of rows is a line
    above them.
    """
    shared = [str(row[0]) for row in table.rows] if table.apart else []
    table = replace(table, header=table.header[1:], rows=[row[1:] for row in table.rows]) if shared else table
    keys = _number_of_keys(table)
    natural = [_column_width(table, column) for column in range(len(table.header))]
    least = [max(map(text_width, _pieces(table, column)), default=0.0) for column in range(len(table.header))]
    widths = limited(natural, least, keys)
    pieces = [
        (rows, columns)
        for rows in _pages([_number_of_lines(row, natural, widths) for row in table.rows])
        for columns in parts(widths, keys)
    ]
    lines = [f"% {' '.join(table.note.split())}"] if table.note else []
    for number, (rows, columns) in enumerate(pieces, start=1):
        caption = table.title if len(pieces) == 1 else f"{table.title}, part {number} of {len(pieces)}"
        broken = {column: width for column, width in enumerate(widths) if width < natural[column]}
        lines += [
            r"\begin{table}",
            r"\centering\footnotesize",
            rf"\setlength{{\tabcolsep}}{{{COLUMN_GAP / 2:g}pt}}",
            rf"\caption{{{latex_text(caption)}}}",
            rf"\label{{tab:{_slug(table.title)}{f'-{number}' if number > 1 else ''}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{@{{}}{_latex_columns(table, columns, broken)}@{{}}}}",
            r"\toprule",
            _latex_row([_breakable(latex_text(table.header[column]), column in broken) for column in columns]),
            r"\midrule",
            *_latex_rows(table, rows, columns, broken, shared),
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            *([""] if number < len(pieces) else []),
        ]
    return "\n".join(lines) + "\n"


def markdown_source(title: str, paragraphs: Iterable[str], tables: Iterable[Table], notes: Sequence[str] = ()) -> str:
    """A Markdown document of several tables: explanations first, notes at the end, one per line.

    Args:
        paragraphs: in Markdown.
        notes: in plain text.
    """
    parts = [f"# {title}\n", *(f"{paragraph}\n" for paragraph in paragraphs), *map(markdown_table, tables)]
    if notes:
        parts.append("## Notes\n\n" + "".join(f"- {markdown_text(note)}\n" for note in notes))
    return "\n".join(parts)


def latex_source(tables: Iterable[Table], comments: Iterable[str]) -> str:
    """LaTeX of several tables, to include in a document; first the needed packages and the comments, one per line."""
    needs = r"Needs \usepackage{array,booktabs,graphicx}."
    lines = "".join(f"% {' '.join(comment.split())}\n" for comment in (needs, *comments))
    return lines + "\n" + "\n".join(map(latex_table, tables))


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _latex_columns(table: Table, columns: Sequence[int], broken: Mapping[int, float]) -> str:
    numeric = table.is_numeric
    return "".join(
        rf">{{\ragged{'left' if numeric[column] else 'right'}\arraybackslash}}p{{{broken[column]:.0f}pt}}"
        if column in broken
        else ("r" if numeric[column] else "l")
        for column in columns
    )


def _latex_rows(
    table: Table, rows: Sequence[int], columns: Sequence[int], broken: Mapping[int, float], shared: Sequence[str]
) -> list[str]:
    lines = []
    for row in rows:
        if shared and (row == rows[0] or shared[row] != shared[row - 1]):
            lines += [r"\midrule"] if row != rows[0] else []
            lines.append(rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\textit{{{latex_text(shared[row])}}}}} \\")
        cells = ((column, table.rows[row][column]) for column in columns)
        lines.append(_latex_row([_breakable(_latex_cell(cell), column in broken) for column, cell in cells]))
    return lines


def _number_of_keys(table: Table) -> int:
    """The number of columns before the first one with figures, at least one."""
    for column in range(1, len(table.header)):
        cells = [row[column] for row in table.rows]
        texts = [cell for cell in cells if isinstance(cell, str)]
        if len(texts) < len(cells) or all(map(_FIGURE.fullmatch, texts)):
            return column
    return len(table.header)


def _column_width(table: Table, column: int) -> float:
    """The width of the widest cell or the title, in pt."""
    widths = [text_width(table.header[column])]
    for row in table.rows:
        entry = row[column]
        if isinstance(entry, str):
            widths.append(text_width(entry))
        else:
            added = text_width(f" {entry.beside}") if entry.beside else 0.0
            widths.append(text_width(entry.text, bold=entry.best) + added)
    return max(widths)


def _number_of_lines(row: Sequence[Entry], natural: Sequence[float], widths: Sequence[float]) -> int:
    """The number of lines of a row's tallest cell."""
    texts = (
        (text_width(cell), width)
        for cell, whole, width in zip(row, natural, widths, strict=True)
        if isinstance(cell, str) and width < whole
    )
    return max((math.ceil(_LOOSE * needed / width) for needed, width in texts), default=1) or 1


def _pages(heights: Sequence[int]) -> list[range]:
    """Split rows with these numbers of lines into parts that fit on a page each."""
    starts, left = [0], MOST_LINES
    for row, height in enumerate(heights):
        if height > left and row > starts[-1]:
            starts.append(row)
            left = MOST_LINES
        left -= height
    return [range(start, end) for start, end in itertools.pairwise([*starts, len(heights)])]


def _pieces(table: Table, column: int) -> list[str]:
    """The pieces of text of a column between the places where a line may end."""
    entries = [row[column] for row in table.rows]
    texts = [table.header[column], *(entry for entry in entries if isinstance(entry, str))]
    return [piece[:_LONGEST_PIECE] for text in texts for piece in re.findall(r"[^\s_./-]+[_./-]?", text)]


def _breakable(text: str, may_break: bool) -> str:
    """The text with further places where a line may end, because names have no spaces or hyphens."""
    if not may_break:
        return text
    text = re.sub(rf"(\w{{{_LONGEST_PIECE}}})(?=\w)", r"\1\\allowbreak{}", text)
    return re.sub(r"(\\_|[./])", r"\1\\allowbreak{}", text)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(entry: Entry) -> str:
    if isinstance(entry, str):
        return markdown_text(entry)
    figure = f"**{entry.text}**" if entry.best else f"<u>{entry.text}</u>" if entry.second else entry.text
    return _with_beside(figure, entry)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(entry: Entry) -> str:
    if isinstance(entry, str):
        return latex_text(entry)
    text = entry.text
    figure = rf"\textbf{{{text}}}" if entry.best else rf"\underline{{{text}}}" if entry.second else text
    return _with_beside(figure, entry).translate(_LATEX_SIGNS)


def _with_beside(text: str, figure: Figure) -> str:
    return f"{text} {figure.beside}" if figure.beside else text
