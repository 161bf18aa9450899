"""Tables in CSV as pandas frames: each is made once, written, and read back as it was made.

A figure in a frame is what its cell in the CSV says, to the last digit, so that whatever is made of the frame is the
same before and after. Texts are ``str``, figures ``float`` with NaN where nothing is known. The column ``missing``,
which is not written, tells the rows of results that were not made: they have names and nothing else.
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
    """Text as it is."""
    return str(value)


def decimal(value: float) -> str:
    """A figure of six decimals."""
    return "NaN" if math.isnan(value) else f"{value:.6f}"


def optional_decimal(digits: int) -> Callable[[float], str]:
    """As many decimals; empty where nothing is known."""
    return lambda value: "" if math.isnan(value) else f"{value:.{digits}f}"


def single(value: float) -> str:
    """A number that float32 has, in as few digits as tell it from the next; empty if unknown or infinite.

    So what compares as greater in float32 compares as greater as text that is read back, too.
    """
    return str(np.float32(value)) if math.isfinite(value) else ""


def optional_number(value: float) -> str:
    """A number of six digits that count; empty where it is not known."""
    return "" if math.isnan(value) else f"{value:.6g}"


def count(value: float) -> str:
    """A number of things, a mean of such numbers to two decimals; empty where it is not known."""
    return "" if math.isnan(value) else f"{round(value, 2):.12g}"


@dataclass(frozen=True)
class TableFormat:
    """What a table in CSV holds.

    Attributes:
        what: it is a table of, for messages.
        columns: how the values of each are written, in order.
        names: the columns that a row of a missing result has too; all of these must be there.
        is_missing: the column of figures that is empty in such a row and in no other; empty if that is not told.
    """

    what: str
    columns: Mapping[str, Callable[[Any], str]]
    names: tuple[str, ...]
    is_missing: str = ""

    @property
    def figures(self) -> list[str]:
        """The columns that hold figures."""
        return [name for name, written in self.columns.items() if written is not text]

    def frame(self, records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        """The frame of rows by column; a text that is absent or None is empty, a figure NaN. Other keys stay as well.

        Figures are those that are written and read back.
        """
        rows = list(records)
        values: dict[str, Any] = {}
        for name, written in self.columns.items():
            if written is text:
                values[name] = pd.Series(["" if row.get(name) is None else row[name] for row in rows], dtype=object)
            else:
                values[name] = pd.Series([_as_written(row.get(name), written) for row in rows], dtype=float)
        others = dict.fromkeys(name for row in rows for name in row if name not in values)
        values |= {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in others}
        values[MISSING] = pd.Series([bool(row.get(MISSING)) for row in rows], dtype=bool)
        return pd.DataFrame(values)

    def write(self, path: Path, frame: pd.DataFrame, blank: Mapping[str, Sequence[bool]] | None = None) -> None:
        """Write the frame as CSV.

        Args:
            blank: by column, the rows whose cells are empty besides those of missing results.
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
        """Read the frame back; columns besides `names` may lack, and further ones are passed over.

        Raises:
            DataError: absent, or not that table.
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
            raise DataError(f"{path} is no table of {self.what} ({error}); delete it and run again") from None
        return self.frame(records)


def _as_written(value: float | None, written: Callable[[Any], str]) -> float:
    return math.nan if value is None else float(written(value) or math.nan)


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows by column."""
    columns = [column.tolist() for _, column in frame.items()]  # `itertuples` takes most of its time to get these
    return [dict(zip(frame.columns, values, strict=True)) for values in zip(*columns, strict=True)]


def in_groups(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The frame with equal values in the columns together, each in order of first appearance; otherwise as it is."""
    return _sorted(frame, list(zip(*(pd.factorize(frame[column])[0] for column in columns), strict=True)))


def in_method_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame by setting, the least-seeing first, then by method and backbone; otherwise as it is."""
    keys = zip(map(setting_order, frame["setting"]), frame["method"], frame["backbone"], strict=True)
    return _sorted(frame, list(keys))


def _sorted(frame: pd.DataFrame, keys: Sequence[Any]) -> pd.DataFrame:
    return frame.iloc[sorted(range(len(frame)), key=keys.__getitem__)].reset_index(drop=True)
