"""CSV tables as pandas frames: each is made once, written, and read back unchanged.

A figure in a frame equals its cell in the CSV file to the last digit, so that tables from the frame and from the file
are the same. Texts are ``str``, figures ``float`` with NaN if unknown. The column ``missing``, which is not written,
marks the rows of missing results: they have only names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zsad.errors import DataError
from zsad.files.csv_files import read_table, write_table
from zsad.names import setting_order

MISSING = "missing"


def text(value: Any) -> str:
    """The text itself."""
    return str(value)


def decimal(value: float) -> str:
    """A figure with six decimals."""
    return "NaN" if math.isnan(value) else f"{value:.6f}"


def optional_decimal(digits: int) -> Callable[[float], str]:
    """A function that writes ``digits`` decimals; empty if unknown."""
    return lambda value: "" if math.isnan(value) else f"{value:.{digits}f}"


def single(value: float) -> str:
    """A float32 number with as few digits as distinguish it from its neighbours; empty if unknown or infinite.

    So comparisons between numbers that are read back give the same result as in float32.
    """
    return str(np.float32(value)) if math.isfinite(value) else ""


def optional_number(value: float) -> str:
    """A number with six significant digits; empty if unknown."""
    return "" if math.isnan(value) else f"{value:.6g}"


def count(value: float) -> str:
    """A count, or a mean of counts with two decimals; empty if unknown."""
    return "" if math.isnan(value) else f"{round(value, 2):.12g}"


@dataclass(frozen=True)
class TableFormat:
    """The format of a CSV table.

    Attributes:
        what: the content of the table, for messages.
        columns: the columns in order, each with the function that writes its values.
        names: the columns that a missing result has too; all of them are required.
        is_missing: the column of figures that is empty only in rows of missing results; empty if there is none.
    """

    what: str
    columns: Mapping[str, Callable[[Any], str]]
    names: tuple[str, ...]
    is_missing: str = ""

    @property
    def figures(self) -> list[str]:
        """The columns with figures."""
        return [name for name, written in self.columns.items() if written is not text]

    def frame(self, records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        """Make a frame of records; a missing or None text is empty, a figure NaN. Other keys become columns as well.

        Figures are rounded as they are written to the file.
        """
        rows = list(records)
        values: dict[str, Any] = {}
        for name, written in self.columns.items():
            if written is text:
                values[name] = pd.Series(["" if row.get(name) is None else row[name] for row in rows], dtype=object)
            else:
                values[name] = np.array([_as_written(row.get(name), written) for row in rows], float)
        others = dict.fromkeys(name for row in rows for name in row if name not in values)
        values |= {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in others}
        values[MISSING] = np.array([bool(row.get(MISSING)) for row in rows], bool)
        return pd.DataFrame(values)

    def write(self, path: Path, frame: pd.DataFrame, blank: Mapping[str, Sequence[bool]] | None = None) -> None:
        """Write the frame as CSV.

        Args:
            blank: by column, further rows whose cells are empty besides those of missing results.
        """
        blank = blank or {}
        missing = frame[MISSING].tolist()
        columns = {}
        for name, written in self.columns.items():
            hidden = blank.get(name, missing if name not in self.names else [False] * len(frame))
            columns[name] = [
                "" if without or (gone and name not in self.names) else written(value)
                for value, without, gone in zip(frame[name], hidden, missing, strict=True)
            ]
        rows = (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
        write_table(path, list(columns), rows, frozenset(self.figures))

    def read(self, path: Path) -> pd.DataFrame:
        """Read the frame back; only the columns in `names` are required, and unknown columns are ignored.

        Raises:
            DataError: the file is missing, or not this table.
        """
        rows = read_table(path, f"table of {self.what}")
        try:
            if absent := [name for name in self.names if rows and name not in rows[0]]:
                raise ValueError(f"it has no column '{absent[0]}'")
            records = [
                {
                    name: cell if self.columns[name] is text else float(cell or math.nan)
                    for name, cell in row.items()
                    if name in self.columns
                }
                | {MISSING: bool(self.is_missing) and row.get(self.is_missing, "") == ""}
                for row in rows
            ]
        except ValueError as error:
            raise DataError(f"{path} is not a table of {self.what} ({error}); delete it and run again") from None
        return self.frame(records)


def _as_written(value: float | None, written: Callable[[Any], str]) -> float:
    return math.nan if value is None else float(written(value) or math.nan)


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows by column."""
    rows = frame.to_numpy(dtype=object).tolist()  # 3 to 12 times as fast as column by column
    return [dict(zip(frame.columns, row, strict=True)) for row in rows]


def in_groups(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The frame with equal values of the columns together, in order of first appearance; otherwise in its own order."""
    return _sorted(frame, list(zip(*(pd.factorize(frame[column])[0] for column in columns), strict=True)))


def in_method_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame ordered by setting, the one that sees least first, then by method and backbone."""
    keys = zip(map(setting_order, frame["setting"]), frame["method"], frame["backbone"], strict=True)
    return _sorted(frame, list(keys))


def _sorted(frame: pd.DataFrame, keys: Sequence[Any]) -> pd.DataFrame:
    return frame.iloc[sorted(range(len(frame)), key=keys.__getitem__)].reset_index(drop=True)
