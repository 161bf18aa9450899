"""Tables of metrics to read: one row for each method, or method and refiner, with the best of each setting marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from zsad.names import EACH_AT_THE_COST_OF_THE_OTHER, TITLES
from zsad.tables.frames import in_groups, rows_of
from zsad.tables.missing import MISSING
from zsad.tables.table import Entry, Figure, Table, marked, share


def metrics_table(
    title: str,
    rows: pd.DataFrame,
    metrics: Sequence[str],
    keys: Sequence[str] = ("method",),
    *,
    apart: str = "setting",
    behind: pd.DataFrame | None = None,
    meanings: Mapping[str, str] | None = None,
) -> Table:
    """A table of one category or mean, without unknown metrics; without rows if no metric is known.

    Args:
        rows: with a column for each metric, its limits and, over seeds, its deviation.
        keys: the columns that name a row.
        apart: the column that groups the rows; figures compete within a group.
        behind: rows of which ``rows`` are means; they show the metrics of a missing mean.
        meanings: explanations of the texts of ``apart``.
    """
    ordered = in_groups(rows, apart)
    told = ordered if behind is None else pd.concat([ordered, behind])
    known = [metric for metric in metrics if metric in told and told[metric].notna().any()]
    records = rows_of(ordered) if known else []
    groups = [row[apart] for row in records]
    columns = [compared_figures(records, metric, groups) for metric in known]
    cells = [
        [row[apart], *(display_name(row, key) for key in keys), *entries_of(row, [column[place] for column in columns])]
        for place, row in enumerate(records)
    ]
    header = [apart.replace("_", " "), *keys, *(TITLES[metric] for metric in known)]
    return Table(title, header, cells, apart=True, meanings=meanings or {})


def compared_figures(rows: Sequence[Mapping[str, Any]], metric: str, groups: Sequence[str]) -> list[Figure]:
    """A metric of rows, the best of each group marked, unless a greater value of the metric is not always better."""
    figures = [figure_of(row, metric) for row in rows]
    return figures if metric in EACH_AT_THE_COST_OF_THE_OTHER else marked(figures, groups)


def figure_of(row: Mapping[str, Any], metric: str) -> Figure:
    """A metric of a row with its interval and deviation, if the row has them."""
    names = (metric, f"{metric}_low", f"{metric}_high", f"{metric}_std")
    return share(*(row.get(name, math.nan) for name in names))


def display_name(row: Mapping[str, Any], key: str = "method") -> str:
    """A name of a row, with the number of seeds if there are several."""
    seeds = row.get("seeds", 1)
    return f"{row[key]} ({seeds:.0f} seeds)" if key == "method" and seeds > 1 else str(row[key])


def entries_of(row: Mapping[str, Any], figures: Sequence[Figure]) -> list[Entry]:
    """The figures of a row, or a word instead of each if its result is missing."""
    return [MISSING] * len(figures) if row["missing"] else list(figures)
