"""Compare methods in pairs, category by category, by a paired bootstrap.

Both methods are measured on the same bootstrap replicates of images, so that a difference comes from the methods and
not from the images. A method wins if the 95 % interval of its difference to the other lies above 0, loses if it lies
below, and ties otherwise. There is no correction for multiple comparisons: about 5 % of comparisons between equal
methods come out significant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from zsad.evaluation.bootstrap import interval
from zsad.evaluation.measured import is_known
from zsad.names import COMPARED_METRICS, HEADLINE_METRICS, MEAN, MEANS, NO_REFINER, ORACLE, TITLES
from zsad.tables.csv_tables import COMPARISONS
from zsad.tables.missing import MISSING
from zsad.tables.results import Result, grouped
from zsad.tables.table import Entry, Table, record

WIN, TIE, LOSS = "win", "tie", "loss"
AGAINST_ALL = "against all"
NOTE = (
    "Wins / ties / losses of the method of the row against that of the column, over the categories: a win if the 95 % "
    "interval of the difference (paired bootstrap over images) lies above 0. No correction for multiple comparisons. "
    "Methods of different settings may see different data."
)


def comparisons(results: Sequence[Result]) -> pd.DataFrame:
    """The frame of comparisons.csv: in each category and mean, every method against every other, in both orders.

    A pair is compared if both have bootstrap replicates of the metric, or are missing. ``difference`` is ``method``
    minus ``other``, with its 95 % limits; ``verdict`` is for ``method``.

    Args:
        results: of categories and means over them. Each method is represented by its results without a refiner, and a
            method with several seeds by the mean over them.
    """
    compared = [one for one in results if one.refiner == NO_REFINER and one.method != ORACLE and not one.group]
    found = []
    for metric in COMPARED_METRICS:
        if not any(_is_measured(one, metric) for one in compared):
            continue  # not compared for missing results either
        for of_category in grouped(compared, lambda result: result.category):
            expected = [one for one in of_category if one.missing or _is_measured(one, metric)]
            found += [
                _comparison(metric, one, other)
                for one in expected
                for other in expected
                if one is not other and _are_comparable(metric, one, other)
            ]
    return COMPARISONS.frame(found)


def comparison_tables(compared: pd.DataFrame, *, with_means: bool = False) -> list[Table]:
    """Wins, ties and losses over the categories, with a row and a column for each method; empty for a single method.

    Args:
        with_means: adds a column against all others, and the difference of the means to each figure.
    """
    tables = (_table(metric, compared[compared["metric"] == metric], with_means) for metric in HEADLINE_METRICS)
    return [table for table in tables if table.rows]


def _is_measured(one: Result, metric: str) -> bool:
    return is_known(one.values[metric]) and metric in one.draws


def _are_comparable(metric: str, one: Result, other: Result) -> bool:
    return one.missing or other.missing or one.draws[metric].size == other.draws[metric].size


def _comparison(metric: str, one: Result, other: Result) -> dict[str, Any]:
    names = {"metric": metric, "category": one.category, "method": one.method, "other": other.method}
    if one.missing or other.missing:
        return {**names, "missing": True}
    low, high = interval(one.draws[metric] - other.draws[metric])
    verdict = WIN if low > 0 else LOSS if high < 0 else TIE
    difference = one.values[metric] - other.values[metric]
    return {**names, "difference": difference, "low": low, "high": high, "verdict": verdict}


def _table(metric: str, compared: pd.DataFrame, with_means: bool) -> Table:
    of_categories = compared[~compared["category"].isin(MEANS)]
    names = list(dict.fromkeys(of_categories["method"]))
    of_pair = dict(iter(compared.groupby(["method", "other"], sort=False)))
    header = ["method", *([AGAINST_ALL] if with_means else []), *names]
    rows: list[list[Entry]] = [
        [
            name,
            *([record(_counts(of_categories[of_categories["method"] == name]))] if with_means else []),
            *(_record(of_pair.get((name, other)), with_means) for other in names),
        ]
        for name in names
    ]
    return Table(f"Wins, ties and losses: {TITLES[metric]}", header, rows, NOTE)


def _record(pair: pd.DataFrame | None, with_means: bool) -> Entry:
    """The record of a method against another."""
    if pair is None:
        return ""
    of_categories = pair[~pair["category"].isin(MEANS)]
    if of_categories["missing"].any():
        return MISSING
    mean = pair[pair["category"] == MEAN]
    if mean.empty or not with_means:
        return record(_counts(of_categories))
    return record(_counts(of_categories), *mean[["difference", "low", "high"]].iloc[0].tolist())


def _counts(compared: pd.DataFrame) -> list[int]:
    """The numbers of wins, ties and losses."""
    return [int((compared["verdict"] == verdict).sum()) for verdict in (WIN, TIE, LOSS)]
