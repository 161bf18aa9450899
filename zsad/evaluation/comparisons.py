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

from zsad.evaluation.bootstrap import interval
from zsad.evaluation.results import Result, grouped, is_known
from zsad.evaluation.typeset import Table
from zsad.metric_names import COMPARED_METRICS, HEADLINE_METRICS, TITLES
from zsad.store import MEANS, NO_REFINER, ORACLE

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
        verdict: ``"win"``, ``"tie"`` or ``"loss"`` of ``method``.
    """

    metric: str
    category: str
    method: str
    other: str
    difference: float
    low: float
    high: float
    verdict: str


def comparisons(results: Sequence[Result]) -> list[Comparison]:
    """Every method against every other in each category and mean, where both have draws of the metric.

    Args:
        results: of categories and means over them. The plain thresholded map stands for each method, the mean over the
            seeds for each of several.
    """
    compared = [one for one in results if one.refiner == NO_REFINER and one.method != ORACLE and not one.group]
    found = []
    for metric in COMPARED_METRICS:
        for of_category in grouped(compared, lambda result: result.category):
            measured = [one for one in of_category if is_known(one.values[metric]) and metric in one.draws]
            found += [
                _comparison(metric, one, other)
                for one in measured
                for other in measured
                if one is not other and one.draws[metric].size == other.draws[metric].size
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


def _comparison(metric: str, one: Result, other: Result) -> Comparison:
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
    return "" if verdicts is None else " / ".join(str(verdicts[verdict]) for verdict in (WIN, TIE, LOSS))
