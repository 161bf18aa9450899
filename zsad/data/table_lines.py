"""Read the lines of a user's CSV table from any program, with the place of each line for messages.

The columns are separated by commas, semicolons or tabs, and the encoding is UTF-8, with or without the byte order mark
of Excel.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from zsad.data.layouts.base import checked_name
from zsad.errors import DataError
from zsad.files.user_paths import expanded

DELIMITERS = (",", ";", "\t")

Header = Callable[[Path, Sequence[str]], Sequence[str | None]]
"""Returns the names of the columns from the table and its first line; None for a column that is ignored."""


def table_lines(table: Path, header: Header) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place of each line that is not empty, and its cells by column.

    Args:
        header: returns the names of the columns; cells of a column with an empty name must be empty.

    Raises:
        DataError: the table cannot be read, is not CSV or not UTF-8, or has a cell without a column or with a line
            break.
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
        raise DataError(f"the table {table} is not CSV (line {reader.line_num}: {error}); correct that line") from None
    except OSError as error:
        raise DataError(f"the table {table} cannot be read ({error.strerror}); make it readable") from None


def written_path(folder: Path, path: str, where: str, what: Literal["image", "mask"] = "image") -> Path:
    """Return the path of the image, mask or folder of masks that a line of a table names.

    Args:
        folder: where relative paths start.
        where: the place of the line, for messages.

    Raises:
        DataError: it does not exist, cannot be reached, or has a name that is not valid text.
    """
    try:
        found = _located(folder, path)
        is_there = found.is_file() or (what == "mask" and found.exists())
        why_not = "" if is_there else _why_not(found)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
    except OSError as error:  # a name that is too long, a folder without access
        raise DataError(f"{where}: {error.filename} cannot be reached ({error.strerror}); correct it") from None
    if not is_there:
        raise DataError(f"{where}: the {what} {found} {why_not}")
    return checked_name(found)


def _by_column(cells: Sequence[str], columns: Sequence[str | None], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for column, cell in zip_longest(columns, map(str.strip, cells), fillvalue=""):
        if column is None:
            continue
        if cell and not column:
            raise DataError(f"{where}: the cell '{cell}' belongs to no column; put cells with a separator in quotes")
        if len((cell or "").splitlines()) > 1:
            raise DataError(f"{where}: the cell {cell!r} contains a line break; remove it")
        if column:
            found[column] = cell or ""
    return found


def _located(folder: Path, path: str) -> Path:
    """The target of a path in the table; an existing path may contain a literal ``$``.

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
