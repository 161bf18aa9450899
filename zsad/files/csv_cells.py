"""CSV tables that people open in a spreadsheet: no cell is a formula there, and all are read back as they were.

Spreadsheets compute what begins with ``=``, ``+``, ``-`` or ``@``, and names of images, folders and methods may. Such a
text gets a ``'`` in front, and so does one with spaces, quotes or further ``'`` before that character, and whatever is
like it after a ``;``, a tab or a line break in a cell, since many spreadsheets split there. `decoded` takes one ``'``
away at the same places. Numbers in columns of figures stay what they are.

The tables are UTF-8 without a byte order mark, with commas, and with quotes around cells that need them (RFC 4180).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from zsad.errors import DataError
from zsad.files.atomic import write_text

# Full-width and small forms are computed as well; tabs, line breaks and NUL are passed over by some programs.
_ACTIVE = "=+\\-@\t\r\n\0＝＋－＠﹦﹢﹣﹫"
_PLACE = r"(?:\A|(?<=[;\t\r\n]))"  # where a spreadsheet may have a cell begin
_WOULD_ACT = rf"(?=['\"\s\ufeff]*[{_ACTIVE}])"
_UNSAFE = re.compile(_PLACE + _WOULD_ACT)
_MADE_SAFE = re.compile(f"{_PLACE}'{_WOULD_ACT}")
_FIGURE = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")


def encoded(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return _UNSAFE.sub("'", text)


def decoded(cell: str) -> str:
    """The text of a cell of a table: undoes `encoded`."""
    return _MADE_SAFE.sub("", cell)


def write_table(
    path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]], figures: Container[str] = ()
) -> None:
    """Write a table whole or not at all; a row without one of the columns has an empty cell.

    Args:
        figures: the columns whose cells stay as they are if they are numbers, such as ``-0.03``.
    """
    lines = [_line(columns)]
    for row in rows:
        cells = ((column, row.get(column, "")) for column in columns)
        lines.append(
            _line([cell if column in figures and _FIGURE.fullmatch(cell) else encoded(cell) for column, cell in cells])
        )
    write_text(path, "".join(lines))


def read_table(path: str | Path, what: str = "table", columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows of a table, by column, as they were before they were made safe for spreadsheets.

    Args:
        what: what it should be, for messages, e.g. ``"table of metrics"``.
        columns: those that it should have, in order; none for any.

    Raises:
        DataError: absent, or no such table.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if columns and tuple(reader.fieldnames or ()) != tuple(columns):
                raise ValueError(f"its columns are not {', '.join(columns)}")
            return [_row(row, reader.line_num) for row in reader]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path} is no {what} ({error}); delete it and run again") from None


def _row(row: Mapping[str | None, str | None], line: int) -> dict[str, str]:
    if None in row or None in row.values():
        raise ValueError(f"line {line} has more or fewer cells than there are columns")
    return {str(column): decoded(str(cell)) for column, cell in row.items()}


def _line(cells: Sequence[str]) -> str:
    """A line of a table; a carriage return in a cell is put in quotes too, as all readers need it."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return f"{buffer.getvalue().removesuffix(chr(13) + chr(10))}\n"
