"""CSV tables of figures for users and spreadsheets, with the cells of `zsad.files.csv_cells`."""

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
    """Write a table completely or not at all; a row without one of the columns gets an empty cell.

    Args:
        figures: the columns in which numbers, such as ``-0.03``, are written unchanged.
    """
    with table_in_the_making(path, columns, figures) as write:
        for row in rows:
            write(row)


@contextmanager
def table_in_the_making(
    path: str | Path, columns: Sequence[str], figures: Container[str] = ()
) -> Iterator[Callable[[Mapping[str, str]], None]]:
    """Yield a function that writes the next row of a table, which is kept if the block succeeds; see `write_table`.

    Bytes of a name that are not text are written as escapes (``\\udcff``).
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
    """Read the rows of a table, by column, with the cells decoded.

    Args:
        what: what it should be, for messages, e.g. ``"table of metrics"``.
        columns: required columns, in order; empty for any.

    Raises:
        DataError: it does not exist, or is not such a table.
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
        raise DataError(f"{path} is not a valid {what} ({error}); delete it and run again") from None


def _row(row: Mapping[str | None, str | None], line: int) -> dict[str, str]:
    if None in row or None in row.values():
        raise ValueError(f"line {line} has more or fewer cells than columns")
    return {str(column): decoded(str(cell)) for column, cell in row.items()}


def _line(cells: Sequence[str]) -> str:
    """Format a line of a table; a cell with a carriage return is quoted too, as all readers need it."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return f"{buffer.getvalue().removesuffix(chr(13) + chr(10))}\n"
