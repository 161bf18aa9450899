"""Lines of a CSV table that somebody wrote: whatever program saved it, with where each line stands, for messages.

The columns are separated by commas, semicolons or tabs, and the encoding is UTF-8, with or without the mark that Excel
puts first.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from zsad.data.layouts.base import named
from zsad.errors import DataError
from zsad.files.user_paths import expanded

DELIMITERS = (",", ";", "\t")

Header = Callable[[Path, Sequence[str]], Sequence[str | None]]
"""From the table and its first line to what each column is called; None for a column that nobody reads."""


def table_lines(table: Path, header: Header) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each line that is not empty stands, and its cells by column.

    Args:
        header: names the columns; cells of a column with an empty name must be empty.

    Raises:
        DataError: the table cannot be read, is no CSV or no UTF-8, or has a cell that belongs to no column or has a
            line break in it.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            reader = csv.reader(stream, delimiter=max(DELIMITERS, key=first.count), strict=True)
            columns = header(table, next(reader, []))
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    where = f"{table}, line {reader.line_num}"
                    yield where, _by_column(cells, columns, where)
    except UnicodeDecodeError:
        raise DataError(f"the table {table} is not text in UTF-8; save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise DataError(f"the table {table} is no CSV (line {reader.line_num}: {error}); correct that line") from None
    except OSError as error:
        raise DataError(f"the table {table} cannot be read ({error.strerror}); make it readable") from None


def written_path(folder: Path, path: str, where: str, what: Literal["image", "mask"] = "image") -> Path:
    """The image, or the mask or folder of masks, that a line of a table names by its path.

    Args:
        folder: where relative paths start.
        where: the line stands, for messages.

    Raises:
        DataError: it does not exist, cannot be reached, or has a name that cannot be written down.
    """
    try:
        found = _located(folder, path)
        is_there = found.is_file() or (what == "mask" and found.exists())
        why_not = "" if is_there else _why_not(found)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise DataError(f"{where}: {error.filename} cannot be reached ({error.strerror}); correct it") from None
    if not is_there:
        raise DataError(f"{where}: the {what} {found} {why_not}")
    return named(found)


def _by_column(cells: Sequence[str], columns: Sequence[str | None], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for column, cell in zip_longest(columns, map(str.strip, cells), fillvalue=""):
        if column is None:
            continue
        if cell and not column:
            raise DataError(f"{where}: the cell '{cell}' stands in no column; put what has a separator in it in quotes")
        if len((cell or "").splitlines()) > 1:
            raise DataError(f"{where}: the cell {cell!r} has a line break in it; take it out")
        if column:
            found[column] = cell or ""
    return found


def _located(folder: Path, path: str) -> Path:
    """Where a path of the table leads; one that is there as it is written may have a ``$`` in it.

    Raises:
        ValueError: see `expanded`.
    """
    literal = folder / path
    return literal if not path.startswith("~") and os.path.lexists(literal) else folder / expanded(path)


def _why_not(path: Path) -> str:
    if path.is_dir():
        return "is a folder; give the path of a file"
    if "\\" in path.name:
        return "does not exist; separate folders by '/'"
    return "does not exist; correct the path, which starts at the folder of the table"
