"""Who wins: the methods in pairs, over the categories, from the paired bootstrap."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zsad.names import HEADLINE_METRICS, MEAN, MEANS
from zsad.reporting.numbers import signed
from zsad.reporting.results import METRIC_TITLES, MethodKey, number_of_cell, read_rows

VERDICTS = ("win", "tie", "loss")
_REVERSED = {"win": "loss", "tie": "tie", "loss": "win"}


@dataclass(frozen=True)
class Comparison:
    """One method against another, in one category or on the mean.

    Attributes:
        difference: of the metric, method minus other; NaN if it is not known.
        low, high: 95 % limits of the difference.
        verdict: one of `VERDICTS`, for the method; empty if it is not known.
    """

    metric: str
    category: str
    method: str
    other: str
    difference: float
    low: float
    high: float
    verdict: str

    def reversed(self) -> Comparison:
        """The same as the other method sees it."""
        return Comparison(
            self.metric,
            self.category,
            method=self.other,
            other=self.method,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            verdict=_REVERSED.get(self.verdict, ""),
        )


@dataclass(frozen=True)
class Balance:
    """Wins, ties and losses of a method over the categories, and the mean difference.

    Attributes:
        difference: on the mean over the categories, with its sign; empty if it is not known.
        interval: 95 % limits of it, in words; may be empty.
        verdict: on the mean; may be empty.
    """

    wins: int
    ties: int
    losses: int
    difference: str = ""
    interval: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class WinMatrix:
    """Every method against every other, by one metric.

    Attributes:
        methods: names, of the rows as of the columns.
        balances: ``[row][column]`` for the method of the row; None for a method against itself, or without a verdict.
        totals: of each row, over all other methods.
    """

    title: str
    methods: list[str]
    balances: list[list[Balance | None]]
    totals: list[Balance]


def read_comparisons(path: Path) -> list[Comparison]:
    """Read ``comparisons.csv``, with every pair in both orders, whichever the table has.

    Raises:
        DataError: absent, or not that table.
    """
    read = read_rows(path, "comparisons", _comparison)
    pairs = {(each.metric, each.category, each.method, each.other): each for each in read}
    mirrored = {(each.metric, each.category, each.other, each.method): each.reversed() for each in read}
    return list((mirrored | pairs).values())


def win_matrices(comparisons: Sequence[Comparison], names: Mapping[MethodKey, str]) -> list[WinMatrix]:
    """A matrix for each of `HEADLINE_METRICS` that has a verdict.

    Args:
        names: what each method is called, in order.
    """
    matrices = []
    for metric in HEADLINE_METRICS:
        of_metric = [each for each in comparisons if each.metric == metric and each.verdict in VERDICTS]
        if of_metric:
            matrices.append(_win_matrix(METRIC_TITLES[metric], of_metric, names))
    return matrices


def _win_matrix(title: str, comparisons: Sequence[Comparison], names: Mapping[MethodKey, str]) -> WinMatrix:
    compared = {each.method for each in comparisons}
    shown = {key.method: name for key, name in names.items() if key.method in compared}
    of_pair: dict[tuple[str, str], list[Comparison]] = {}
    for each in comparisons:
        of_pair.setdefault((each.method, each.other), []).append(each)
    balances = [
        [_balance(of_pair[method, other]) if (method, other) in of_pair else None for other in shown]
        for method in shown
    ]
    return WinMatrix(title, list(shown.values()), balances, [_total(row) for row in balances])


def _balance(pair: Iterable[Comparison]) -> Balance:
    pair = list(pair)
    counted = Counter(each.verdict for each in pair if each.category not in MEANS)
    counts = [counted[verdict] for verdict in VERDICTS]
    mean = next((each for each in pair if each.category == MEAN), None)
    if mean is None:
        return Balance(*counts)
    interval = "" if math.isnan(mean.low + mean.high) else f"{_hundredths(mean.low)} to {_hundredths(mean.high)}"
    return Balance(*counts, signed(mean.difference), interval, mean.verdict)


def _total(balances: Iterable[Balance | None]) -> Balance:
    known = [balance for balance in balances if balance]
    return Balance(
        wins=sum(balance.wins for balance in known),
        ties=sum(balance.ties for balance in known),
        losses=sum(balance.losses for balance in known),
    )


def _hundredths(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _comparison(row: Mapping[str, str]) -> Comparison:
    numbers = {column: number_of_cell(row[column]) for column in ("difference", "low", "high")}
    texts = {column: row[column] for column in ("metric", "category", "method", "other", "verdict")}
    return Comparison(**texts, **numbers)
