"""Evaluations of classifiers as the figures and the page read them, in one order with one naming."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zsad.errors import DataError
from zsad.files.evaluations import read_evaluation
from zsad.files.json_values import number
from zsad.tables.class_results import CLASS_KEYS, GROUND_TRUTH, Summary

_REGIONS = {"predicted": "predicted regions", GROUND_TRUTH: "ground-truth regions"}

ClassEvaluation = dict[str, Any]


def read_class_evaluations(paths: Iterable[Path]) -> list[ClassEvaluation]:
    """Read evaluations of classifiers, in the order in which they are given.

    Raises:
        DataError: a file is absent or no evaluation of a classifier.
    """
    return [read_evaluation(path, CLASS_KEYS) for path in paths]


def measure_of(row: Mapping[str, Any], metric: str) -> Summary:
    """A metric of a row of ``by_shots``."""
    cell = row["metrics"].get(metric) or {}
    return Summary(*(number(cell.get(name)) for name in Summary._fields))


def shown_row(result: ClassEvaluation) -> dict[str, Any]:
    """The row of ``by_shots`` of the draw that stands for all."""
    shots = result["draws"][result["shown"]]["shots"]
    row: dict[str, Any] = next(row for row in result["by_shots"] if row["shots"] == shots)
    return row


def regions_in_words(regions: str) -> str:
    """Where a classifier looks, e.g. ``"ground-truth regions"``; empty for the whole image."""
    return _REGIONS.get(regions, "" if regions == "image" else regions)


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Over how many draws a figure is a mean."""
    return "one seed" if len(seeds) == 1 else f"mean of {len(seeds)} seeds"


def category_of(results: Sequence[ClassEvaluation]) -> str:
    """The one category of some evaluations.

    Raises:
        DataError: they are of more than one.
    """
    categories = sorted({result["category"] for result in results})
    if len(categories) != 1:
        raise DataError(f"a figure shows one category, not {len(categories)} ({', '.join(categories)})")
    return str(categories[0])


def shortened(names: Sequence[str], most: int) -> list[str]:
    """Names for a figure, each at most so long, what is longer without its middle; what differs stays different.

    Args:
        most: letters of a name, at least 9.
    """
    short: list[str] = []
    for name in names:
        ending = ""
        while (found := _without_middle(name, most - len(ending)) + ending) in short:
            ending = f" {int(ending or 1) + 1}"
        short.append(found)
    return short


def _without_middle(name: str, most: int) -> str:
    if len(name) <= most:
        return name
    kept = (most - 1) // 2
    return f"{name[: most - 1 - kept]}…{name[-kept:]}"
