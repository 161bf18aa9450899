"""What the figures and the page read: the evaluation files and ``metrics.csv``, in one order with one naming."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from zsad.errors import DataError
from zsad.files.csv_files import read_table
from zsad.files.evaluations import read_evaluation
from zsad.files.json_values import number
from zsad.names import ALL_TYPES, MEAN, MEANS, ORACLE, TITLES, setting_order

Row = TypeVar("Row")

METRIC_TITLES = {metric: title[0].upper() + title[1:] for metric, title in TITLES.items()}
_PROTOCOLS = {"native": "native resolution", "resize256": "256 × 256"}
_TEXT_COLUMNS = (
    *("dataset", "category", "backbone", "method", "setting", "refiner", "protocol", "defect_type", "reasons"),
)
EVALUATION_KEYS = (
    *("dataset", "category", "method", "backbone", "setting", "threshold", "image_threshold", "metrics", "confidence"),
    *(
        "localises",
        "decision",
        "mask",
        "curves",
        "bands",
        "by_type",
        "images",
        "counts",
        "notes",
        "protocol",
        "provenance",
    ),
)


class MethodKey(NamedTuple):
    """One row of every table and one colour of every plot."""

    setting: str
    method: str
    backbone: str


@dataclass(frozen=True)
class MetricsRow:
    """One row of ``metrics.csv`` or of ``refinement.csv``.

    Attributes:
        key: setting, method and backbone.
        values: every column of numbers; NaN where the table is empty.
        protocol: at which resolution pixels are compared; empty if the table does not say.
    """

    category: str
    key: MethodKey
    refiner: str
    values: dict[str, float]
    protocol: str = ""

    def value(self, column: str) -> float:
        """The number in ``column``; NaN if it is empty or the table has no such column."""
        return self.values.get(column, math.nan)

    @property
    def seeds(self) -> int:
        """How many seeds the values are means over."""
        seeds = self.value("seeds")
        return 1 if math.isnan(seeds) else int(seeds)

    def interval(self, metric: str) -> tuple[float, float]:
        """Confidence limits of ``metric``; NaN where there are none."""
        return self.value(f"{metric}_low"), self.value(f"{metric}_high")


def method_order(key: MethodKey) -> tuple[tuple[int, int, str], str, str]:
    """Sort key of a method, the same in every table and plot, so that a method keeps its place and colour."""
    return setting_order(key.setting), key.method, key.backbone


def display_names(keys: Iterable[MethodKey]) -> dict[MethodKey, str]:
    """Name of each method, in `method_order`; with its backbone where more than one backbone is in use."""
    ordered = sorted(set(keys), key=method_order)
    several = len({key.backbone for key in ordered}) > 1
    return {key: f"{key.method} · {key.backbone}" if several else key.method for key in ordered}


def one_row_a_method(rows: Iterable[MetricsRow]) -> list[MetricsRow]:
    """The rows without repetition by refiner: refiners change masks, not the metrics of scores and maps."""
    first: dict[tuple[str, MethodKey], MetricsRow] = {}
    for row in rows:
        first.setdefault((row.category, row.key), row)
    return list(first.values())


def with_any(rows: Iterable[MetricsRow], metrics: Iterable[str]) -> list[MetricsRow]:
    """The rows of the categories, and means, in which a method has one of the metrics; all rows where none has."""
    rows, metrics = list(rows), list(metrics)
    told = {row.category for row in rows if any(not math.isnan(row.value(metric)) for metric in metrics)}
    return [row for row in rows if row.category in told] or rows


def known_metrics(rows: Iterable[MetricsRow], metrics: Iterable[str]) -> list[str]:
    """Those of the metrics that any of the rows has; all where none has any."""
    rows, metrics = list(rows), list(metrics)
    return [metric for metric in metrics if any(not math.isnan(row.value(metric)) for row in rows)] or metrics


def categories_of(rows: Iterable[MetricsRow]) -> list[str]:
    """The categories of the rows in order of first appearance, without the means over them."""
    return list(dict.fromkeys(row.category for row in rows if row.category not in MEANS))


def means_of(rows: Iterable[MetricsRow]) -> list[str]:
    """The means among the rows: of textures and objects where the data set has both, and over all, which is last."""
    present = {row.category for row in rows}
    return sorted((mean for mean in MEANS if mean in present), key=lambda mean: (mean == MEAN, MEANS.index(mean)))


def protocol_in_words(protocols: Iterable[str]) -> str:
    """At which resolution pixels were compared, for every table and figure, e.g. ``"native resolution"``."""
    return ", ".join(_PROTOCOLS.get(protocol, protocol) for protocol in dict.fromkeys(protocols) if protocol)


def evaluation_key(evaluation: dict[str, Any]) -> MethodKey:
    """The method of an evaluation or of a gallery."""
    return MethodKey(evaluation["setting"], evaluation["method"], evaluation["backbone"])


def read_evaluations(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Read evaluation files, in `method_order`; the categories keep the order in which they are given.

    Raises:
        DataError: a file is absent or no evaluation.
    """
    evaluations = [read_evaluation(path, EVALUATION_KEYS) for path in paths]
    return sorted(evaluations, key=lambda evaluation: method_order(evaluation_key(evaluation)))


def read_one_category(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Read the evaluation files of one category, in `method_order`.

    Raises:
        DataError: a file is absent or no evaluation, or they are of more than one category.
    """
    evaluations = read_evaluations(paths)
    categories = sorted({evaluation["category"] for evaluation in evaluations})
    if len(categories) != 1:
        raise DataError(f"a figure shows one category, not {len(categories)} ({', '.join(categories)})")
    return evaluations


def measured(document: Mapping[str, Any], metric: str) -> tuple[float, float, float]:
    """A metric of an evaluation, or of one of its types of defect, with its confidence limits; NaN if not known."""
    low, high = document["confidence"].get(metric) or (None, None)
    return number(document["metrics"].get(metric)), number(low), number(high)


def read_metrics(path: Path) -> list[MetricsRow]:
    """Read ``metrics.csv``, in `method_order`; categories and refiners keep the order of the table.

    The oracle is left out: it is no method and has no scores.

    Raises:
        DataError: absent, or not that table.
    """
    return [row for row in _read_table(path, "metrics") if row.key.method != ORACLE]


def read_refinement(path: Path) -> list[MetricsRow]:
    """Read ``refinement.csv``, the rows over all types of defect, in the same order; the oracle is among them.

    Raises:
        DataError: absent, or not that table.
    """
    return _read_table(path, "refinement", lambda row: row["defect_type"] == ALL_TYPES)


def read_rows(path: Path, what: str, parse: Callable[[dict[str, str]], Row]) -> list[Row]:
    """The rows of a CSV table, each as ``parse`` makes it of its cells by column.

    Args:
        what: what the table holds, for the message.

    Raises:
        DataError: absent, or a row that ``parse`` cannot read.
    """
    rows = read_table(path, f"table of {what}")
    try:
        return [parse(row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no table of {what} ({error!r}); delete it and run again") from None


def number_of_cell(text: str) -> float:
    """The number in a cell of a table; NaN if it is empty."""
    return float(text) if text else math.nan


def _read_table(path: Path, what: str, wanted: Callable[[dict[str, str]], bool] = lambda row: True) -> list[MetricsRow]:
    rows = read_rows(path, what, lambda row: _metrics_row(row) if wanted(row) else None)
    return sorted((row for row in rows if row), key=lambda row: method_order(row.key))


def _metrics_row(row: dict[str, str]) -> MetricsRow:
    values = {column: number_of_cell(text) for column, text in row.items() if column not in _TEXT_COLUMNS}
    return MetricsRow(
        category=row["category"],
        key=MethodKey(row["setting"], row["method"], row["backbone"]),
        refiner=row["refiner"],
        values=values,
        protocol=row.get("protocol", ""),
    )
