"""CSV tables of figures, which people open in a spreadsheet; their cells are as `zsad.files.csv_cells` says."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from zsad.errors import DataError
from zsad.files.atomic import atomic_path
from zsad.files.csv_cells import decoded, encoded

_FIGURE = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")


def write_table(
    path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]], figures: Container[str] = ()
) -> None:
    """Write a table whole or not at all; a row without one of the columns has an empty cell.

    Args:
        figures: the columns whose cells stay as they are if they are numbers, such as ``-0.03``.
    """
    with table_in_the_making(path, columns, figures) as write:
        for row in rows:
            write(row)


@contextmanager
def table_in_the_making(
    path: str | Path, columns: Sequence[str], figures: Container[str] = ()
) -> Iterator[Callable[[Mapping[str, str]], None]]:
    """Yield what takes the next row of a table, which is there when the block succeeds; see `write_table`.

    Of a name whose bytes are no text, those stand as escapes (``\\udcff``).
    """
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):

        def write(row: Mapping[str, str]) -> None:
            cells = ((column, row.get(column, "")) for column in columns)
            are_safe = (
                cell if column in figures and _FIGURE.fullmatch(cell) else encoded(cell) for column, cell in cells
            )
            stream.write(_line(list(are_safe)))

        stream.write(_line([encoded(column) for column in columns]))
        yield write


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
            reader.fieldnames = [decoded(name) for name in reader.fieldnames or ()]
            if columns and tuple(reader.fieldnames) != tuple(columns):
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
