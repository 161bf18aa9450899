"""Read the CSV tables for the plots and the page, as frames in one order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zsad.names import ALL_TYPES, MEAN, MEANS, ORACLE
from zsad.reporting.evaluations import MethodKey, key_of
from zsad.tables.csv_tables import COMPARISONS, COSTS, METRICS, REFINEMENT
from zsad.tables.frames import in_method_order, rows_of


def keys_of(frame: pd.DataFrame) -> list[MethodKey]:
    """The method of each row."""
    return list(map(MethodKey, frame["setting"], frame["method"], frame["backbone"]))


def with_names(frame: pd.DataFrame, names: Mapping[MethodKey, str]) -> pd.DataFrame:
    """The rows of the named methods with their display names, and those of the oracle, which keeps its name."""
    called = [key.method if key.method == ORACLE else names.get(key) for key in keys_of(frame)]
    named = frame.assign(method=pd.Series(called, index=frame.index, dtype=object))
    return named[named["method"].notna()].reset_index(drop=True)


def one_row_a_method(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each method: refiners change masks, but not the metrics of scores and maps."""
    return frame.drop_duplicates(["category", *MethodKey._fields], ignore_index=True)


def with_any(frame: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """The rows of the categories and means where a method has one of the metrics; all rows if there are none."""
    told = frame["category"][frame[list(metrics)].notna().any(axis=1)]
    kept = frame[frame["category"].isin(told)].reset_index(drop=True)
    return frame if kept.empty else kept


def known_metrics(frame: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """The metrics that any row has; all metrics if no row has one."""
    return [metric for metric in metrics if frame[metric].notna().any()] or list(metrics)


def categories_of(frame: pd.DataFrame) -> list[str]:
    """The categories of the rows in order of first appearance, without the means over them."""
    return [category for category in dict.fromkeys(frame["category"]) if category not in MEANS]


def means_of(frame: pd.DataFrame) -> list[str]:
    """The means among the rows: over textures and objects if the data set has both, and over all categories last."""
    present = set(frame["category"])
    return sorted((mean for mean in MEANS if mean in present), key=lambda mean: (mean == MEAN, MEANS.index(mean)))


def by_method(frame: pd.DataFrame) -> dict[tuple[str, MethodKey], dict[str, Any]]:
    """The rows by category and method."""
    return {(row["category"], key_of(row)): row for row in rows_of(frame)}


def interval_of(row: Mapping[str, Any], metric: str) -> tuple[float, float]:
    """Confidence limits of a metric of a row; NaN if there are none."""
    return row.get(f"{metric}_low", math.nan), row.get(f"{metric}_high", math.nan)


def read_metrics(path: Path) -> pd.DataFrame:
    """Read ``metrics.csv``, in `method_order`; categories and refiners keep the order of the table.

    The oracle is left out: it is not a method and has no scores.

    Raises:
        DataError: the file is missing, or not this table.
    """
    frame = METRICS.read(path)
    return in_method_order(frame[frame["method"] != ORACLE])


def read_refinement(path: Path) -> pd.DataFrame:
    """Read ``refinement.csv``, the rows over all defect types, in the same order, including the oracle.

    Raises:
        DataError: the file is missing, or not this table.
    """
    frame = REFINEMENT.read(path)
    return in_method_order(frame[frame["defect_type"] == ALL_TYPES])


def read_comparisons(path: Path) -> pd.DataFrame:
    """Read ``comparisons.csv``.

    Raises:
        DataError: the file is missing, or not this table.
    """
    return COMPARISONS.read(path)


def read_costs(path: Path) -> pd.DataFrame:
    """Read ``cost.csv``, in `method_order`, the stages of a method in the order of the table.

    Raises:
        DataError: the file is missing, or not this table.
    """
    return in_method_order(COSTS.read(path))
