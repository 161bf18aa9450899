"""A comparison of two runs as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from zsad.columns import aligned
from zsad.comparing.compare_runs import COMPARED, LESS_IS_BETTER, ComparedRuns
from zsad.files.json_values import without_nan
from zsad.names import MEAN, NO_REFINER, TITLES
from zsad.tables.comparisons import LOSS, TIE, WIN
from zsad.tables.frames import rows_of
from zsad.tables.notation import NOT_AVAILABLE, percent, signed

MOST_CHANGES = 8  # of parameters, in a line
NOT_CORRECTED = (
    "Nothing is corrected for the number of comparisons: about 5 % of those between equal methods are a win or a loss."
)

Changes = Mapping[str, tuple[Any, Any]]


def printed(compared: ComparedRuns) -> Iterator[str]:
    """The printed lines: differing parameters, a table for each metric, and how often the second run is better."""
    first, second = titles(compared)
    yield f"Figures are per cent. The difference is {second} less {first}, with 95 % limits (paired bootstrap over the"
    yield f"common images); {WIN}: {second} is better, {LOSS}: worse, {TIE}: the limits contain 0."
    yield from changes_in_words(compared.changed)
    for metric, rows in compared.frame.groupby("metric", sort=False):
        yield ""
        yield f"{TITLES[str(metric)]}{' (less is better)' if metric in LESS_IS_BETTER else ''}"
        header = ("method", "category", first, second, "difference", "95 % limits", "")
        for line in aligned([header, *map(_line, rows_of(rows))], (first, second, "difference")):
            yield f"  {line}"
    yield ""
    yield f"Wins / ties / losses of {second} over the categories, and the difference of the means"
    for line in aligned(_records(compared.frame)):
        yield f"  {line}"
    yield ""
    yield from [*compared.notes, NOT_CORRECTED]


def as_document(compared: ComparedRuns) -> dict[str, Any]:
    """The comparison as plain JSON types; unknown values are None."""
    rows = [{name: row[name] for name in COMPARED.columns} for row in rows_of(compared.frame)]
    document: dict[str, Any] = without_nan(
        {
            "first": str(compared.first),
            "second": str(compared.second),
            "changed": [
                {
                    "method": method,
                    "other": other,
                    "parameters": {name: {"first": one, "second": two} for name, (one, two) in changes.items()},
                }
                for (method, other), changes in compared.changed.items()
            ],
            "rows": rows,
            "notes": list(compared.notes),
        }
    )
    return document


def titles(compared: ComparedRuns) -> tuple[str, str]:
    """The names of the two runs: their folders, or "the first" and "the second" for one folder."""
    first, second = str(compared.first), str(compared.second)
    return (first, second) if first != second else ("the first", "the second")


def changes_in_words(changed: Mapping[tuple[str, str], Changes]) -> Iterator[str]:
    """Lines with the parameters that differ; those that differ in the same way for all methods come first."""
    every = list(changed.values())
    common = {name: both for name, both in every[0].items() if all(one.get(name) == both for one in every)}
    if common and len(every) > 1:
        yield f"All methods: {_changes(common)}"
    for (method, other), changes in changed.items():
        own = {name: both for name, both in changes.items() if name not in common or len(every) == 1}
        if own:
            yield f"{_called(method, other)}: {_changes(own)}"


def _changes(changes: Changes) -> str:
    shown = [f"{name} {_value(one)} → {_value(two)}" for name, (one, two) in [*changes.items()][:MOST_CHANGES]]
    more = len(changes) - len(shown)
    return ", ".join([*shown, *([f"and {more} more, which --json lists" if shown else ""] if more else [])])


def _value(value: Any) -> str:
    return "none" if value is None else str(value)


def _called(method: str, other: str, refiner: str = NO_REFINER, other_refiner: str = NO_REFINER) -> str:
    """A pair in the form of the option: ``mutual``, or ``mutual=other``; with the refiners if masks are compared."""
    name = method if method == other else f"{method}={other}"
    masks = refiner if refiner == other_refiner else f"{refiner}={other_refiner}"
    return name if masks == NO_REFINER else f"{name}, masks by {masks}"


def _of(row: Mapping[str, Any]) -> str:
    return _called(row["method"], row["other"], row["refiner"], row["other_refiner"])


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    figures = (percent(row["first"]), percent(row["second"]), signed(row["difference"]))
    return (_of(row), row["category"], *figures, _limits(row), row["verdict"])


def _limits(row: Mapping[str, Any]) -> str:
    unknown = math.isnan(row["low"] + row["high"])
    return NOT_AVAILABLE if unknown else f"{signed(row['low'])} to {signed(row['high'])}"


def _records(frame: pd.DataFrame) -> list[Sequence[str]]:
    """A row for each pair of methods, a column for each metric."""
    rows = rows_of(frame)
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    table: list[Sequence[str]] = [("method", *(TITLES[metric] for metric in metrics))]
    for name in dict.fromkeys(map(_of, rows)):
        of_pair = [row for row in rows if _of(row) == name]
        table.append((name, *(_record([row for row in of_pair if row["metric"] == metric]) for metric in metrics)))
    return table


def _record(rows: Sequence[Mapping[str, Any]]) -> str:
    """The value of a metric for a method; empty if it has none."""
    of_categories = [row["verdict"] for row in rows if row["category"] != MEAN]
    counts = " / ".join(str(of_categories.count(verdict)) for verdict in (WIN, TIE, LOSS)) if rows else ""
    means = [f"{signed(row['difference'])} ({_limits(row)})" for row in rows if row["category"] == MEAN]
    return "  ".join([counts, *means])
