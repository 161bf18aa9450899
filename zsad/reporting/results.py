"""What the figures and the page read: the evaluation files and the tables, in one order with one naming."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from zsad.errors import DataError
from zsad.setting import setting_order
from zsad.store import ALL_TYPES, ORACLE, read_evaluation

METRIC_TITLES = {
    "image_auroc": "Image AUROC",
    "image_ap": "Image AP",
    "image_f1max": "Image F1-max",
    "pixel_auroc": "Pixel AUROC",
    "pixel_ap": "Pixel AP",
    "pixel_f1max": "Pixel F1-max",
    "aupro": "AUPRO",
}
_TEXT_COLUMNS = ("dataset", "category", "backbone", "method", "setting", "refiner", "defect_type", "reasons")
EVALUATION_KEYS = (
    *("dataset", "category", "method", "backbone", "setting", "threshold", "image_threshold", "metrics", "confidence"),
    *("decision", "mask", "curves", "images", "counts", "notes", "provenance"),
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
    """

    category: str
    key: MethodKey
    refiner: str
    values: dict[str, float]

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


def _read_table(path: Path, what: str, wanted: Callable[[dict[str, str]], bool] = lambda row: True) -> list[MetricsRow]:
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            rows = [_metrics_row(row) for row in csv.DictReader(stream) if wanted(row)]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no table of {what} ({error!r}); delete it and run again") from None
    return sorted(rows, key=lambda row: method_order(row.key))


def _metrics_row(row: dict[str, str]) -> MetricsRow:
    values = {column: float(text) if text else math.nan for column, text in row.items() if column not in _TEXT_COLUMNS}
    return MetricsRow(
        category=row["category"],
        key=MethodKey(row["setting"], row["method"], row["backbone"]),
        refiner=row["refiner"],
        values=values,
    )
