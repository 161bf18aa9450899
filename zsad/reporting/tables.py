"""The page's tables of metrics: rows in groups, values with confidence limits, the best marked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from zsad.names import IMAGE_METRICS, MASK_METRICS, PIXEL_METRICS
from zsad.reporting.headlines import setting_meaning
from zsad.reporting.numbers import NOT_AVAILABLE, limits, shown
from zsad.reporting.results import METRIC_TITLES, MethodKey, MetricsRow, evaluation_key, measured

IMAGE_COLUMNS = (*IMAGE_METRICS, "decision_f1")
PIXEL_COLUMNS = PIXEL_METRICS
MASK_COLUMNS = MASK_METRICS
TYPE_COLUMNS = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro", "aupimo", "mask_f1", "region_recall")


@dataclass(frozen=True)
class Cell:
    """A number as it is shown.

    Attributes:
        value: NaN if there is none.
        interval: confidence limits, e.g. ``"0.90–0.97"``; may be empty.
        deviation: over seeds, e.g. ``"± 0.012, 3 seeds"``; may be empty.
        best: the greatest of its column.
        best_in_group: the greatest of its column among the rows of its group.
    """

    value: float
    interval: str = ""
    deviation: str = ""
    best: bool = False
    best_in_group: bool = False

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
    """Rows that compare with each other, such as those of one setting, with a title and what it means."""

    title: str
    note: str
    rows: list[Row]


@dataclass(frozen=True)
class Table:
    """Column titles and groups of rows."""

    columns: list[str]
    groups: list[Group]


def image_table(rows: Sequence[MetricsRow], names: Mapping[MethodKey, str]) -> Table | None:
    """Metrics of image scores of one category, or of a mean, a row a method; None if no figure is known.

    A metric that no method has is left out, and so it is in the other tables.

    Refiners change masks and nothing else, so that the first refiner's row stands for all.

    Args:
        rows: of one category, in order.
        names: what each method is called.
    """
    return _ranking_table(IMAGE_COLUMNS, rows, names)


def pixel_table(rows: Sequence[MetricsRow], names: Mapping[MethodKey, str]) -> Table | None:
    """Metrics of anomaly maps, otherwise as `image_table`."""
    return _ranking_table(PIXEL_COLUMNS, rows, names)


def mask_table(
    rows: Sequence[MetricsRow],
    names: Mapping[MethodKey, str],
    regions: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
) -> Table | None:
    """How well the masks fit, a row a method and refiner; None if no figure is known.

    Args:
        rows: of one category, in order.
        names: what each method is called.
        regions: ``found`` and ``accepted`` regions by method and refiner, where they are known.
    """
    known = regions or {}
    kept = [column for column in MASK_COLUMNS if _is_known(column, rows)]
    if not kept:
        return None
    return _by_setting(
        kept,
        [
            (
                row.key.setting,
                Row(
                    names[row.key],
                    tuple(_cell(row, column) for column in kept),
                    refiner=row.refiner,
                    remark=_regions_in_words(known.get((row.key.method, row.refiner))),
                ),
            )
            for row in rows
        ],
    )


def type_table(results: Sequence[Mapping[str, Any]], names: Mapping[MethodKey, str]) -> Table | None:
    """How each type of defect is found, a group a type and a row a method; None if no type is known.

    The metrics of a type are those of its images with all good ones, so that types compare with caution.

    Args:
        results: evaluations of one category.
        names: what each method is called.
    """
    types = dict.fromkeys(part["defect_type"] for result in results for part in result["by_type"])
    parts = {(evaluation_key(result), part["defect_type"]): part for result in results for part in result["by_type"]}
    columns = [
        column for column in TYPE_COLUMNS if any(not math.isnan(measured(part, column)[0]) for part in parts.values())
    ]
    groups = []
    for defect_type in types:
        of_type = [(names[key], parts[key, defect_type]) for key in names if (key, defect_type) in parts]
        rows = [Row(name, tuple(_measured_cell(part, column) for column in columns)) for name, part in of_type]
        images = of_type[0][1]["images"]
        note = f"{images} image" if images == 1 else f"{images} images"
        groups.append(Group(defect_type, note, _marked(rows)))
    return Table([METRIC_TITLES[column] for column in columns], groups) if columns else None


def _ranking_table(columns: Sequence[str], rows: Sequence[MetricsRow], names: Mapping[MethodKey, str]) -> Table | None:
    first = {row.key: row for row in reversed(rows)}
    present = [key for key in names if key in first]
    kept = [column for column in columns if _is_known(column, first.values())]
    if not kept:
        return None
    return _by_setting(
        kept,
        [(key.setting, Row(names[key], tuple(_cell(first[key], column) for column in kept))) for key in present],
    )


def _is_known(column: str, rows: Iterable[MetricsRow]) -> bool:
    return any(not math.isnan(row.value(column)) for row in rows)


def _by_setting(columns: Sequence[str], rows: Sequence[tuple[str, Row]]) -> Table:
    overall = _greatest([row for _, row in rows])
    groups = []
    for setting, members in groupby(rows, key=lambda pair: pair[0]):
        marked = _marked([row for _, row in members], overall)
        groups.append(Group(setting, f"sees {setting_meaning(setting)}", marked))
    return Table([METRIC_TITLES[column] for column in columns], groups)


def _marked(rows: Sequence[Row], overall: Sequence[str] | None = None) -> list[Row]:
    """The rows of a group with the best of each column marked, and what is the best ``overall`` besides, if given."""
    best_here = _greatest(rows)
    best = overall or [NOT_AVAILABLE] * len(best_here)
    return [
        replace(
            row,
            cells=tuple(
                replace(
                    cell,
                    best=cell.text == top != NOT_AVAILABLE,
                    best_in_group=cell.text == top_here != NOT_AVAILABLE,
                )
                for cell, top, top_here in zip(row.cells, best, best_here, strict=True)
            ),
        )
        for row in rows
    ]


def _greatest(rows: Sequence[Row]) -> list[str]:
    """Greatest value of each column, as shown: what reads equal is equally good."""
    columns = zip(*(row.cells for row in rows), strict=True)
    known = ([cell.value for cell in column if not math.isnan(cell.value)] for column in columns)
    return [shown(max(values, default=math.nan)) for values in known]


def _cell(row: MetricsRow, column: str) -> Cell:
    deviation = row.value(f"{column}_std")
    over_seeds = row.seeds > 1 and not math.isnan(deviation)
    return Cell(
        row.value(column),
        interval=limits(*row.interval(column)),
        deviation=f"± {deviation:.3f}, {row.seeds} seeds" if over_seeds else "",
    )


def _measured_cell(part: Mapping[str, Any], column: str) -> Cell:
    value, *interval = measured(part, column)
    return Cell(value, interval=limits(*interval))


def _regions_in_words(regions: Mapping[str, Any] | None) -> str:
    return f"{regions['accepted']} of {regions['found']} regions refined" if regions else ""
