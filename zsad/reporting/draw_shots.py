"""Plot of the accuracy of classifiers against the number of examples of each kind."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation

from zsad.reporting import figures
from zsad.reporting.class_evaluations import (
    ClassEvaluation,
    measure_of,
    read_class_evaluations,
    regions_in_words,
    shortened,
)
from zsad.reporting.evaluations import category_of
from zsad.reporting.options import ReportOptions
from zsad.tables.class_results import GROUND_TRUTH, Summary
from zsad.tables.notation import percent, with_interval

METRIC = "accuracy"
_ALL = "all"
_WIDTH = 7.5  # inches
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_APART = 5.0  # points between classifiers at one number of shots; four times as much if there is only one number
_MOST_APART = 24.0  # points from the first to the last of them
_LONGEST = 44  # greatest number of letters of a classifier's name
_LEAST_GAP = 0.038  # least gap between numbers on the axis, as a share of its length
_AROUND = 1.35  # factor beyond the outermost numbers on either side
_NO_LABELS = "Not measured: no image is labelled with a kind that has examples."
_DASHES = ((5, 3), (2, 2), (8, 3, 2, 3))


class Point(NamedTuple):
    """The accuracy at one number of shots."""

    shots: int | str
    measure: Summary


def draw_shots(*, evaluations: Sequence[Path], options: ReportOptions, output: Path) -> None:
    """Plot the accuracy of all classifiers of one category against the number of examples of each kind, as PNG.

    Points are means over the random seeds with their bootstrap limits. A dashed line is the accuracy of always
    predicting the most frequent kind. Classifiers that use ground-truth regions have hollow points and a dotted line.

    Raises:
        DataError: an evaluation is missing or unreadable, or they belong to more than one category.
    """
    results = read_class_evaluations(evaluations)
    category = category_of(results)
    curves = {result["classifier"]: points for result in results if (points := points_of(result))}
    drawn = [result for result in results if result["classifier"] in curves]
    with figures.styled():
        figure = Figure(figsize=(_WIDTH, 3.9 + 0.2 * len(drawn)), layout="constrained")
        figure.suptitle(f"{category}: accuracy of defect types", x=0.01, ha="left", fontsize=13, fontweight="bold")
        axes = figure.subplots()
        if curves:
            _draw_curves(axes, drawn, curves)
            entries = zip(*axes.get_legend_handles_labels(), strict=True)
            lines, labels = zip(*sorted(entries, key=lambda entry: isinstance(entry[0], Line2D)), strict=True)
            figure.legend(lines, labels, loc="outside lower left", title=_legend_title(drawn), alignment="left")
        else:
            figures.write_sentence(axes, _NO_LABELS)
        figures.save(figure, output, options)


def points_of(result: ClassEvaluation) -> list[Point]:
    """The known accuracies, the fewest shots first; ``"all"`` comes last."""
    points = [Point(row["shots"], measure_of(row, METRIC)) for row in result["by_shots"]]
    known = [point for point in points if not math.isnan(point.measure.value)]
    return sorted(known, key=lambda point: math.inf if point.shots == _ALL else point.shots)


def places_of(shots: Sequence[int | str]) -> dict[int | str, float]:
    """The position of each number on a logarithmic axis; ``"all"`` is beyond the greatest."""
    places: dict[int | str, float] = {count: float(count) for count in sorted({int(c) for c in shots if c != _ALL})}
    if _ALL in shots:
        numbers = sorted(places.values())
        step = max(1.6, (numbers[-1] / numbers[0]) ** (1 / len(numbers))) if numbers else 1.0
        places[_ALL] = numbers[-1] * step if numbers else 1.0
    return places


def _draw_curves(axes: Axes, results: Sequence[ClassEvaluation], curves: Mapping[str, Sequence[Point]]) -> None:
    places = places_of([point.shots for points in curves.values() for point in points])
    apart = min(_APART * (1 if len(places) > 1 else 4), _MOST_APART / max(1, len(curves) - 1))
    names = shortened([result["classifier"] for result in results], _LONGEST)
    colours = figures.colours(len(results))
    for place, (result, name) in enumerate(zip(results, names, strict=True)):
        offset = apart * (place - (len(results) - 1) / 2)
        label = f"{name}{_difference(result, results)}   {_in_legend(curves[result['classifier']][-1])}"
        points = [(places[point.shots], point.measure) for point in curves[result["classifier"]]]
        _draw_curve(axes, points, label, offset, _style_of(result, place, colours[place]))
    reached = _majorities(results)
    for place, (value, numbers) in enumerate(reached.items()):
        of_kinds = "kind" if len(reached) == 1 else f"of {' or '.join(map(str, sorted(numbers)))} kinds"
        label = f"always the most frequent {of_kinds}   {percent(value)}"
        dashes = (0, _DASHES[place % len(_DASHES)])
        axes.axhline(value, color=figures.FAINT, label=label, linestyle=dashes, linewidth=1.1, zorder=1)
    _set_axes(axes, places, [*_reaches(curves), *reached])


def _style_of(result: ClassEvaluation, place: int, colour: str) -> dict[str, Any]:
    """Colour, marker and line; hollow and dotted for ground-truth regions, which are unknown in practice."""
    look = {"color": colour, "marker": _MARKERS[(place + place // len(_MARKERS)) % len(_MARKERS)]}
    if result["regions"] == GROUND_TRUTH:
        return {**look, "markerfacecolor": "white", "linestyle": (0, (1, 1.4))}
    return {**look, "linestyle": "-"}


def _draw_curve(
    axes: Axes, points: Sequence[tuple[float, Summary]], label: str, offset: float, look: Mapping[str, Any]
) -> None:
    """Draw joined points with their limits, shifted so that the limits of classifiers do not cover each other."""
    moved = axes.transData + ScaledTranslation(offset / 72, 0, axes.figure.dpi_scale_trans)
    at, values = [place for place, _ in points], [measure.value for _, measure in points]
    below = [_reach(measure.value - measure.low) for _, measure in points]
    above = [_reach(measure.high - measure.value) for _, measure in points]
    style: dict[str, Any] = {"linewidth": 1.5, "markersize": 5.5, "elinewidth": 1.0, "capsize": 2.5, "capthick": 1.0}
    axes.errorbar(at, values, yerr=[below, above], label=label, transform=moved, zorder=3, **style, **look)


def _reach(length: float) -> float:
    """The length of an error bar, at least 0 because a mean may lie slightly outside its limits; 0 for NaN."""
    return 0.0 if math.isnan(length) else max(0.0, length)


def _majorities(results: Sequence[ClassEvaluation]) -> dict[float, set[int]]:
    """The accuracy of always predicting the most frequent kind, as printed, with the numbers of kinds behind it."""
    found: defaultdict[float, set[int]] = defaultdict(set)
    for result in results:
        known = [measure_of(row, "majority").value for row in result["by_shots"]]
        if values := [value for value in known if not math.isnan(value)]:
            found[round(max(values), 3)].add(len(result["kinds"]))
    return dict(sorted(found.items(), reverse=True))


def _reaches(curves: Mapping[str, Sequence[Point]]) -> list[float]:
    values = [value for points in curves.values() for _, measure in points for value in measure[:3]]
    return [value for value in values if not math.isnan(value)]


def _set_axes(axes: Axes, places: Mapping[int | str, float], values: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    first, last = min(places.values()) / _AROUND, max(places.values()) * _AROUND
    axes.set_xlim(first, last)
    axes.set_xticks(list(places.values()), numbers_that_fit(places, first, last))
    lowest = max(0, math.floor(10 * (min(values) - 0.03)))  # in tenths
    axes.set_ylim(lowest / 10, 1.03)
    axes.set_yticks([tenths / 10 for tenths in range(lowest, 11)])
    axes.set_xlabel("labelled examples of each kind (k)")
    axes.set_ylabel("accuracy, %")
    figures.in_percent(axes.yaxis)


def numbers_that_fit(places: Mapping[int | str, float], first: float, last: float) -> list[str]:
    """The text at each position of the axis; empty where it would cover the previous number or the last one."""
    length = math.log(last / first)
    shares = {count: math.log(place / first) / length for count, place in places.items()}
    final = list(shares)[-1]
    written = [final]
    for count, share in shares.items():
        if all(abs(share - shares[other]) >= _LEAST_GAP for other in written):
            written.append(count)
    return [str(count) if count in written else "" for count in places]


def _difference(result: ClassEvaluation, results: Sequence[ClassEvaluation]) -> str:
    """Differences of a classifier from the others that make its figures not comparable, in words."""
    words = [regions_in_words(result["regions"])]
    if len({tuple(other["kinds"]) for other in results}) > 1:
        words.append(f"{len(result['kinds'])} kinds")
    joined = ", ".join(filter(None, words))
    return f" ({joined})" if joined else ""


def _in_legend(point: Point) -> str:
    value, low, high, _ = point.measure
    return f"{with_interval(value, low, high)} at k = {point.shots}"


def _legend_title(results: Sequence[ClassEvaluation]) -> str:
    seeds = {len(row["seeds"]) for result in results for row in result["by_shots"]}
    draws = "" if seeds == {1} else f", mean of {min(seeds)} seeds" if len(seeds) == 1 else ", means over the seeds"
    return f"Setting few-shot-defects-k: trained on labelled defects{draws}; bars: 95 % confidence limits"
