"""Where a method ranks backwards: below chance by more than the confidence limits allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from zsad.reporting.numbers import with_limits
from zsad.reporting.results import METRIC_TITLES, MethodKey, MetricsRow, evaluation_key, measured

CHANCE = 0.5
RANKINGS = {"image_auroc": "images", "pixel_auroc": "pixels"}  # what each ranks


class Backwards(NamedTuple):
    """A figure that says that what is defective looks more ordinary to a method than what is good.

    Attributes:
        method: what it is called.
        metric, value: title, and figure with its limits.
        ranked: ``"images"`` or ``"pixels"``.
        defect_type: if the figure is of one type of defect.
        blind_to: what the method cannot see; may be empty.
    """

    method: str
    metric: str
    value: str
    ranked: str
    defect_type: str
    blind_to: str


def backwards(
    rows: Sequence[MetricsRow], names: Mapping[MethodKey, str], blind_to: Mapping[str, str]
) -> list[Backwards]:
    """The figures of one category, or of a mean, that are below chance together with their upper limits.

    Args:
        rows: of ``metrics.csv``; refiners change no ranking, so that a method's first row stands for all.
        names: what each method is called.
        blind_to: by method as it is configured.
    """
    first = {row.key: row for row in reversed(rows)}
    figures = [
        (key, metric, (row.value(metric), *row.interval(metric)))
        for key in names
        if (row := first.get(key))
        for metric in RANKINGS
    ]
    return _below_chance(figures, names, blind_to)


def backwards_by_type(
    results: Sequence[Mapping[str, Any]], names: Mapping[MethodKey, str], blind_to: Mapping[str, str]
) -> list[Backwards]:
    """The same for each type of defect among the evaluations of one category."""
    found = []
    for defect_type in dict.fromkeys(part["defect_type"] for result in results for part in result["by_type"]):
        figures = [
            (evaluation_key(result), metric, measured(part, metric))
            for result in results
            for part in result["by_type"]
            if part["defect_type"] == defect_type
            for metric in RANKINGS
        ]
        found += _below_chance(figures, names, blind_to, defect_type)
    return found


def _below_chance(
    figures: Iterable[tuple[MethodKey, str, tuple[float, float, float]]],
    names: Mapping[MethodKey, str],
    blind_to: Mapping[str, str],
    defect_type: str = "",
) -> list[Backwards]:
    return [
        Backwards(
            names[key],
            METRIC_TITLES[metric],
            with_limits(*figure),
            RANKINGS[metric],
            defect_type,
            blind_to.get(key.method, ""),
        )
        for key, metric, figure in figures
        if figure[0] < CHANCE and figure[2] < CHANCE  # both are false for NaN
    ]
