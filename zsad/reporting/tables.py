"""The tables of the page: rows grouped by setting, values with confidence limits, the best marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from zsad.reporting.results import METRIC_TITLES, MethodKey, MetricsRow

NOT_AVAILABLE = "n/a"
SCORE_COLUMNS = {**METRIC_TITLES, "decision_f1": "Decision F1"}
MASK_COLUMNS = {
    "mask_precision": "Precision",
    "mask_recall": "Recall",
    "mask_f1": "F1",
    "mask_iou": "IoU",
}


@dataclass(frozen=True)
class Cell:
    """A number as it is shown.

    Attributes:
        value: NaN if there is none.
        interval: confidence limits, e.g. ``"0.90–0.97"``, or the deviation over seeds; may be empty.
        best: the greatest of its column.
        best_in_setting: the greatest of its column among the rows of its setting.
    """

    value: float
    interval: str = ""
    best: bool = False
    best_in_setting: bool = False

    @property
    def text(self) -> str:
        """Three decimals, or ``n/a``."""
        return shown(self.value)


@dataclass(frozen=True)
class Row:
    """A method, or a method and a refiner, with its numbers in the order of the table's columns."""

    method: str
    cells: tuple[Cell, ...]
    refiner: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Group:
    """The rows of one setting."""

    setting: str
    rows: list[Row]


@dataclass(frozen=True)
class Table:
    """Column titles and groups of rows."""

    columns: list[str]
    groups: list[Group]


def shown(value: float) -> str:
    """A metric as text: three decimals, or ``n/a``."""
    return NOT_AVAILABLE if math.isnan(value) else f"{value:.3f}"


def score_table(rows: Sequence[MetricsRow], names: Mapping[MethodKey, str]) -> Table:
    """Ranking metrics of one category, or of the mean, a row a method.

    Refiners change masks and nothing else, so that the first refiner's row stands for all.

    Args:
        rows: of one category, in order.
        names: what each method is called.
    """
    first = {row.key: row for row in reversed(rows)}
    return _table(
        list(SCORE_COLUMNS.values()),
        [
            (key.setting, Row(names[key], tuple(_cell(first[key], column) for column in SCORE_COLUMNS)))
            for key in names
            if key in first
        ],
    )


def mask_table(
    rows: Sequence[MetricsRow],
    names: Mapping[MethodKey, str],
    regions: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
) -> Table:
    """How well the masks fit, a row a method and refiner.

    Args:
        rows: of one category, in order.
        names: what each method is called.
        regions: ``found`` and ``accepted`` regions by method and refiner, where they are known.
    """
    known = regions or {}
    return _table(
        list(MASK_COLUMNS.values()),
        [
            (
                row.key.setting,
                Row(
                    names[row.key],
                    tuple(_cell(row, column) for column in MASK_COLUMNS),
                    refiner=row.refiner,
                    remark=_regions_in_words(known.get((row.key.method, row.refiner))),
                ),
            )
            for row in rows
        ],
    )


def _table(columns: list[str], rows: Sequence[tuple[str, Row]]) -> Table:
    greatest = _greatest([row for _, row in rows])
    groups = []
    for setting, members in groupby(rows, key=lambda pair: pair[0]):
        of_setting = [row for _, row in members]
        greatest_here = _greatest(of_setting)
        groups.append(Group(setting, [_marked(row, greatest, greatest_here) for row in of_setting]))
    return Table(columns, groups)


def _greatest(rows: Sequence[Row]) -> list[str]:
    """Greatest value of each column, as shown: what reads equal is equally good."""
    return [shown(max(values, default=math.nan)) for values in _known_values(rows)]


def _known_values(rows: Sequence[Row]) -> list[list[float]]:
    columns = zip(*(row.cells for row in rows), strict=True)
    return [[cell.value for cell in column if not math.isnan(cell.value)] for column in columns]


def _marked(row: Row, greatest: Sequence[str], greatest_here: Sequence[str]) -> Row:
    cells = tuple(
        replace(
            cell,
            best=cell.text == top != NOT_AVAILABLE,
            best_in_setting=cell.text == top_here != NOT_AVAILABLE,
        )
        for cell, top, top_here in zip(row.cells, greatest, greatest_here, strict=True)
    )
    return replace(row, cells=cells)


def _cell(row: MetricsRow, column: str) -> Cell:
    low, high = row.interval(column)
    if row.seeds > 1:
        deviation = row.value(f"{column}_std")
        return Cell(row.value(column), "" if math.isnan(deviation) else f"± {deviation:.3f}, {row.seeds} seeds")
    return Cell(row.value(column), "" if math.isnan(low + high) else f"{low:.2f}–{high:.2f}")


def _regions_in_words(regions: Mapping[str, Any] | None) -> str:
    return f"{regions['accepted']} of {regions['found']} regions refined" if regions else ""
