"""Which of two methods is better, category by category: a paired bootstrap.

Both are measured on the same draws of images, so that the difference of a draw is that of the methods and not of the
images. A method wins where the 95 % interval of its difference to the other lies above 0, loses where it lies below,
and ties otherwise. Nothing is corrected for the number of comparisons: of twenty between equals one is won or lost by
chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from zsad.evaluation.bootstrap import interval
from zsad.evaluation.measured import is_known
from zsad.names import COMPARED_METRICS, HEADLINE_METRICS, MEANS, NO_REFINER, ORACLE, TITLES
from zsad.tables.missing import MISSING
from zsad.tables.results import Result, grouped
from zsad.tables.typeset import Table

WIN, TIE, LOSS = "win", "tie", "loss"
NOTE = (
    "Wins / ties / losses of the method of the row against that of the column, over the categories: a win if the 95 % "
    "interval of the difference (paired bootstrap over images) lies above 0. Not corrected for the number of "
    "comparisons. Methods of different settings may see different things."
)


class Comparison(NamedTuple):
    """A method against another in one metric and category.

    Attributes:
        difference: value of ``method`` less that of ``other``.
        low, high: its 95 % limits.
        verdict: ``"win"``, ``"tie"`` or ``"loss"`` of ``method``; empty, and no figures, if a result is missing.
    """

    metric: str
    category: str
    method: str
    other: str
    difference: float
    low: float
    high: float
    verdict: str

    @property
    def is_missing(self) -> bool:
        """Whether one of the two results was not made."""
        return not self.verdict


def comparisons(results: Sequence[Result]) -> list[Comparison]:
    """Every method against every other in each category and mean, where both have draws of the metric or are missing.

    Args:
        results: of categories and means over them. The plain thresholded map stands for each method, the mean over the
            seeds for each of several.
    """
    compared = [one for one in results if one.refiner == NO_REFINER and one.method != ORACLE and not one.group]
    found = []
    for metric in COMPARED_METRICS:
        if not any(_is_measured(one, metric) for one in compared):
            continue  # nor would it be for what is missing
        for of_category in grouped(compared, lambda result: result.category):
            expected = [one for one in of_category if one.missing or _is_measured(one, metric)]
            found += [
                _comparison(metric, one, other)
                for one in expected
                for other in expected
                if one is not other and _are_comparable(metric, one, other)
            ]
    return found


def comparison_tables(found: Sequence[Comparison]) -> list[Table]:
    """Wins, ties and losses over the categories, a row and a column a method; none of a single method."""
    of_categories = [one for one in found if one.category not in MEANS]
    return [
        _table(metric, [one for one in of_categories if one.metric == metric])
        for metric in HEADLINE_METRICS
        if any(one.metric == metric for one in of_categories)
    ]


def _is_measured(one: Result, metric: str) -> bool:
    return is_known(one.values[metric]) and metric in one.draws


def _are_comparable(metric: str, one: Result, other: Result) -> bool:
    return one.missing or other.missing or one.draws[metric].size == other.draws[metric].size


def _comparison(metric: str, one: Result, other: Result) -> Comparison:
    if one.missing or other.missing:
        return Comparison(metric, one.category, one.method, other.method, np.nan, np.nan, np.nan, verdict="")
    low, high = interval(one.draws[metric] - other.draws[metric])
    verdict = WIN if low > 0 else LOSS if high < 0 else TIE
    difference = one.values[metric] - other.values[metric]
    return Comparison(metric, one.category, one.method, other.method, difference, low, high, verdict)


def _table(metric: str, found: Sequence[Comparison]) -> Table:
    verdicts: Mapping[tuple[str, str], Counter[str]] = {
        (pair[0].method, pair[0].other): Counter(one.verdict for one in pair)
        for pair in grouped(found, lambda one: (one.method, one.other))
    }
    names = list(dict.fromkeys(one.method for one in found))
    rows = [[name, *(_record(verdicts.get((name, other))) for other in names)] for name in names]
    return Table(f"Who wins: {TITLES[metric]}", ["method", *names], rows, NOTE)


def _record(verdicts: Counter[str] | None) -> str:
    if verdicts is not None and "" in verdicts:
        return MISSING
    return "" if verdicts is None else " / ".join(str(verdicts[verdict]) for verdict in (WIN, TIE, LOSS))
