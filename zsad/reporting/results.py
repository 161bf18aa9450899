"""What the plots and the page read: evaluation files, and the tables in CSV as frames, in one order with one naming."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from zsad.errors import DataError
from zsad.files.evaluations import read_evaluation
from zsad.files.json_values import number
from zsad.names import ALL_TYPES, MEAN, MEANS, ORACLE, TITLES, setting_order
from zsad.tables.csv_tables import COMPARISONS, COSTS, METRICS, REFINEMENT
from zsad.tables.frames import in_method_order, rows_of

METRIC_TITLES = {metric: title[0].upper() + title[1:] for metric, title in TITLES.items()}
_PROTOCOLS = {"native": "native resolution", "resize256": "256 × 256"}
EVALUATION_KEYS = (
    *("dataset", "category", "method", "backbone", "setting", "threshold", "image_threshold", "metrics", "confidence"),
    *("localises", "decision", "mask", "curves", "bands", "by_type", "images", "counts", "notes", "protocol"),
    "provenance",
)

Evaluation = dict[str, Any]


class MethodKey(NamedTuple):
    """One row of every table and one colour of every plot."""

    setting: str
    method: str
    backbone: str


def key_of(named: Mapping[str, Any]) -> MethodKey:
    """The method of a row, an evaluation or a gallery."""
    return MethodKey(named["setting"], named["method"], named["backbone"])


def keys_of(frame: pd.DataFrame) -> list[MethodKey]:
    """The method of each row."""
    return list(map(MethodKey, frame["setting"], frame["method"], frame["backbone"]))


def method_order(key: MethodKey) -> tuple[tuple[int, int, str], str, str]:
    """Sort key of a method, the same in every table and plot, so that a method keeps its place and colour."""
    return setting_order(key.setting), key.method, key.backbone


def display_names(keys: Iterable[MethodKey]) -> dict[MethodKey, str]:
    """Name of each method, in `method_order`; with its backbone where more than one backbone is in use."""
    ordered = sorted(set(keys), key=method_order)
    several = len({key.backbone for key in ordered}) > 1
    return {key: f"{key.method} · {key.backbone}" if several else key.method for key in ordered}


def with_names(frame: pd.DataFrame, names: Mapping[MethodKey, str]) -> pd.DataFrame:
    """The rows of the named methods, and those of the oracle, which keeps its name, with what each method is called."""
    called = [key.method if key.method == ORACLE else names.get(key) for key in keys_of(frame)]
    named = frame.assign(method=pd.Series(called, index=frame.index, dtype=object))
    return named[named["method"].notna()].reset_index(drop=True)


def one_row_a_method(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows without repetition by refiner: refiners change masks, not the metrics of scores and maps."""
    return frame.drop_duplicates(["category", *MethodKey._fields], ignore_index=True)


def with_any(frame: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """The rows of the categories, and means, in which a method has one of the metrics; all rows where none has."""
    told = frame["category"][frame[list(metrics)].notna().any(axis=1)]
    kept = frame[frame["category"].isin(told)].reset_index(drop=True)
    return frame if kept.empty else kept


def known_metrics(frame: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """Those of the metrics that any of the rows has; all where none has any."""
    return [metric for metric in metrics if frame[metric].notna().any()] or list(metrics)


def categories_of(frame: pd.DataFrame) -> list[str]:
    """The categories of the rows in order of first appearance, without the means over them."""
    return [category for category in dict.fromkeys(frame["category"]) if category not in MEANS]


def means_of(frame: pd.DataFrame) -> list[str]:
    """The means among the rows: of textures and objects where the data set has both, and over all, which is last."""
    present = set(frame["category"])
    return sorted((mean for mean in MEANS if mean in present), key=lambda mean: (mean == MEAN, MEANS.index(mean)))


def by_method(frame: pd.DataFrame) -> dict[tuple[str, MethodKey], dict[str, Any]]:
    """The rows by category and method."""
    return {(row["category"], key_of(row)): row for row in rows_of(frame)}


def protocol_in_words(protocols: Iterable[str]) -> str:
    """At which resolution pixels were compared, for every table and figure, e.g. ``"native resolution"``."""
    return ", ".join(_PROTOCOLS.get(protocol, protocol) for protocol in dict.fromkeys(protocols) if protocol)


def read_evaluations(paths: Iterable[Path]) -> list[Evaluation]:
    """Read evaluation files, in `method_order`; the categories keep the order in which they are given.

    Raises:
        DataError: a file is absent or no evaluation.
    """
    evaluations = [read_evaluation(path, EVALUATION_KEYS) for path in paths]
    return sorted(evaluations, key=lambda evaluation: method_order(key_of(evaluation)))


def read_one_category(paths: Iterable[Path]) -> list[Evaluation]:
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
    """A metric of an evaluation with its confidence limits; NaN if not known."""
    low, high = document["confidence"].get(metric) or (None, None)
    return number(document["metrics"].get(metric)), number(low), number(high)


def interval_of(row: Mapping[str, Any], metric: str) -> tuple[float, float]:
    """Confidence limits of a metric of a row; NaN where there are none."""
    return row.get(f"{metric}_low", math.nan), row.get(f"{metric}_high", math.nan)


def read_metrics(path: Path) -> pd.DataFrame:
    """Read ``metrics.csv``, in `method_order`; categories and refiners keep the order of the table.

    The oracle is left out: it is no method and has no scores.

    Raises:
        DataError: absent, or not that table.
    """
    frame = METRICS.read(path)
    return in_method_order(frame[frame["method"] != ORACLE])


def read_refinement(path: Path) -> pd.DataFrame:
    """Read ``refinement.csv``, the rows over all types of defect, in the same order; the oracle is among them.

    Raises:
        DataError: absent, or not that table.
    """
    frame = REFINEMENT.read(path)
    return in_method_order(frame[frame["defect_type"] == ALL_TYPES])


def read_comparisons(path: Path) -> pd.DataFrame:
    """Read ``comparisons.csv``.

    Raises:
        DataError: absent, or not that table.
    """
    return COMPARISONS.read(path)


def read_costs(path: Path) -> pd.DataFrame:
    """Read ``cost.csv``, in `method_order`, the stages of a method in the order of the table.

    Raises:
        DataError: absent, or not that table.
    """
    return in_method_order(COSTS.read(path))
