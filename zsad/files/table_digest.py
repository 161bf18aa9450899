"""CSV tables with digests that show whether they were changed after they were written.

The last column has a digest for each row, chained from the end of the table to its start: it covers the row's cells
with the names of their columns, and the digest of the next row; the first one covers the number of rows, too. So a
changed cell, line or order is detected, and so is a line that was lost or added, at either end. Line endings and the
quoting of cells do not matter. `zsad.files.csv_cells` makes the cells safe for spreadsheets.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zsad.errors import DataError
from zsad.files.atomic import write_text
from zsad.files.csv_cells import decoded, encoded

COLUMN = "digest"
LENGTH = 16  # hexadecimal digits
RUN_AGAIN = "delete it and run again"


def write_table(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with digests; one without rows has only a line of column names, without that of the digests.

    Args:
        rows: cells in the order of the columns, as text or values that `str` converts; None is an empty cell.
    """
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    digests = row_digests(columns, texts)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*columns, COLUMN] if texts else columns)
    writer.writerows([*map(encoded, cells), digest] for cells, digest in zip(texts, digests, strict=True))
    write_text(path, buffer.getvalue())


def read_table(
    path: str | Path, columns: Sequence[str], optional: Sequence[str] = (), *, what: str, fix: str = RUN_AGAIN
) -> list[dict[str, str]]:
    """Read the rows of a table by column, without the digests.

    Args:
        columns: required columns, in this order.
        optional: columns that may follow them.
        what: name of the table, e.g. ``"manifest"``, for messages.
        fix: what the user can do about a change, for messages.

    Raises:
        DataError: the table does not exist, was changed after it was written, or is not such a table.
    """
    found, *rows = _read(path, what)
    names = [name for name in found if name != COLUMN]
    if names != [*columns, *(name for name in optional if name in names)]:
        raise DataError(f"{path} is not a valid {what} (its columns are {', '.join(found)}); {RUN_AGAIN}")
    cells = [[decoded(cell) for cell in row[:-1]] for row in rows]
    is_whole = all(len(row) == len(found) for row in rows) and (found == [*names, COLUMN] if rows else found == names)
    if not is_whole or row_digests(names, cells) != [row[-1] for row in rows]:
        raise DataError(f"{path} was changed after it was made; {fix}")
    return [dict(zip(names, row, strict=True)) for row in cells]


def row_digests(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The digest of each row, hexadecimal; see the module's description."""
    digests: list[str] = []
    following = ""
    for index in reversed(range(len(rows))):
        content = [list(columns), list(rows[index]), following, *([len(rows)] if index == 0 else [])]
        following = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:LENGTH]
        digests.append(following)
    return digests[::-1]


def _read(path: str | Path, what: str) -> list[list[str]]:
    """Read all rows, including the column names."""
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            return list(csv.reader(stream, strict=True)) or [[]]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); make it readable, or {RUN_AGAIN}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a valid {what} ({error}); {RUN_AGAIN}") from None
