"""Read the evaluations of classifiers for the plots and the page, with the same order and names everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zsad.files.evaluations import read_evaluation
from zsad.tables.class_results import CLASS_KEYS, REGIONS, Summary, summary_of

ClassEvaluation = dict[str, Any]


def read_class_evaluations(paths: Iterable[Path]) -> list[ClassEvaluation]:
    """Read evaluations of classifiers, in the order in which they are given.

    Raises:
        DataError: a file is missing or not an evaluation of a classifier.
    """
    return [read_evaluation(path, CLASS_KEYS) for path in paths]


def measure_of(row: Mapping[str, Any], metric: str) -> Summary:
    """A metric of a row of ``by_shots``."""
    return summary_of(row["metrics"].get(metric))


def shown_row(result: ClassEvaluation) -> dict[str, Any]:
    """The row of ``by_shots`` for the sample of examples that is shown."""
    shots = result["draws"][result["shown"]]["shots"]
    row: dict[str, Any] = next(row for row in result["by_shots"] if row["shots"] == shots)
    return row


def regions_in_words(regions: str) -> str:
    """The part of the image that a classifier uses, e.g. ``"ground-truth regions"``; empty for the whole image."""
    return "" if regions == "image" else REGIONS.get(regions, regions)


def seeds_in_words(seeds: Sequence[int]) -> str:
    """The number of random seeds behind a mean, in words."""
    return "one seed" if len(seeds) == 1 else f"mean of {len(seeds)} seeds"


def shortened(names: Sequence[str], most: int) -> list[str]:
    """Shorten names for a figure by removing their middle; different names stay different.

    Args:
        most: greatest number of letters of a name, at least 9.
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
