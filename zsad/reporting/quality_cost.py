"""Plot of quality against cost: the metrics of each method, and its seconds for one more image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from zsad.names import HEADLINE_METRICS, MEAN, PER_IMAGE, setting_order
from zsad.reporting import figures
from zsad.reporting.evaluations import METRIC_TITLES, MethodKey, display_names, key_of, protocol_in_words
from zsad.reporting.options import ReportOptions
from zsad.reporting.quality_cost_names import MARKER_SIZE, NamedPoint, write_names
from zsad.reporting.results import interval_of, keys_of, known_metrics, one_row_a_method, read_costs, read_metrics
from zsad.tables.frames import rows_of

_NO_LABELS = "Not available: the data set has no labels or masks for it."
_NO_COSTS = "Not available: no method has both a mean\nand the benchmarks of its jobs."
_CAPTION = (
    "Each point is a method: its mean over the categories with the 95 % interval, and the wall-clock seconds of this "
    "run until one more test image has a map and a score,\nwithout references and evaluation. The line joins the "
    "methods that no faster method equals, in any setting; settings differ in what a method may see."
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">")
_LEGEND_SIGNS = 130  # characters that fit side by side in the legend
_MARKER_SIGNS = 6  # width of a marker and the space beside it, in characters
_AROUND = 1.6  # factor beyond the points on either side, so that there are always numbers on the axis
_WIDE = 20.0  # factor between the points; beyond it, fewer numbers are enough


class Point(NamedTuple):
    """A method in one panel: seconds per image, and the metric with its limits, NaN if there are none."""

    key: MethodKey
    seconds: float
    value: float
    low: float
    high: float


def draw_quality_cost(*, metrics_csv: Path, cost_csv: Path, options: ReportOptions, output: Path) -> None:
    """Plot image AUROC and AUPRO of each method against the seconds for one more test image, as PNG.

    A method with several random seeds is shown by its mean. Methods without benchmarks are left out and listed in the
    caption; metrics without values are left out too.

    Raises:
        DataError: a table is missing or unreadable.
    """
    rows = one_row_a_method(read_metrics(metrics_csv))
    seconds, seeds = _read_totals(cost_csv)
    over_all = rows[rows["category"] == MEAN]
    means = [row for row in rows_of(over_all) if key_of(row) not in seeds]
    names = display_names(keys_of(rows))
    metrics = known_metrics(over_all, HEADLINE_METRICS)
    points = {metric: points_of(means, metric, seconds) for metric in metrics}
    with figures.styled():
        figure = Figure(figsize=(10, 5.8 if any(points.values()) else 2.6), layout="constrained")
        FigureCanvasAgg(figure)
        figures.write_title(figure, "Quality, in %, against cost", protocol_in_words(rows["protocol"]))
        panels = dict(zip(metrics, figure.subplots(1, len(metrics), squeeze=False)[0], strict=True))
        lines, markers = figures.method_lines(names), setting_markers(names)
        for metric, axes in panels.items():
            axes.set_title(f"{METRIC_TITLES[metric]}, mean")
            if points[metric]:
                _draw_points(axes, points[metric], lines, markers)
            else:
                measured = any(not math.isnan(row[metric]) for row in means)
                figures.write_sentence(axes, _NO_COSTS if measured else _NO_LABELS)
        shown = {point.key.setting for points_of_metric in points.values() for point in points_of_metric}
        if shown:
            _add_legend(figure, {key: markers[key] for key in markers if key in shown}, _caption(means, seconds, names))
        figure.draw_without_rendering()  # fixes the layout, which the placement of names needs
        for metric, axes in panels.items():
            write_names(axes, [NamedPoint(names[key], *numbers) for key, *numbers in points[metric]])
        figures.save(figure, output, options)


def points_of(means: Sequence[Mapping[str, Any]], metric: str, seconds: Mapping[MethodKey, float]) -> list[Point]:
    """The methods that have both the metric and a cost, as points."""
    return [
        Point(key_of(row), seconds[key_of(row)], row[metric], *interval_of(row, metric))
        for row in means
        if key_of(row) in seconds and not math.isnan(row[metric])
    ]


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The points that no faster point equals, from the fastest to the best."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.seconds, -point.value)):
        if not front or point.value > front[-1].value:
            front.append(point)
    return front


def setting_markers(keys: Sequence[MethodKey] | Mapping[MethodKey, Any]) -> dict[str, str]:
    """The marker of each setting, in the order of settings."""
    settings = sorted({key.setting for key in keys}, key=setting_order)
    return dict(zip(settings, itertools.cycle(_MARKERS)))


def _read_totals(cost_csv: Path) -> tuple[dict[MethodKey, float], set[MethodKey]]:
    """Seconds per image of the methods that have them, and the methods that are single seeds of another one."""
    totals = [row for row in rows_of(read_costs(cost_csv)) if row["stage"] == PER_IMAGE]
    seconds = {key_of(row): row["seconds_per_image"] for row in totals if row["seconds_per_image"] > 0}
    return seconds, {key_of(row) for row in totals if row["group"]}


def _caption(
    means: Sequence[Mapping[str, Any]], seconds: Mapping[MethodKey, float], names: Mapping[MethodKey, str]
) -> str:
    left_out = [names[key_of(row)] for row in means if key_of(row) not in seconds]
    return f"{_CAPTION}\nLeft out because benchmarks are missing: {', '.join(left_out)}." if left_out else _CAPTION


def _draw_points(
    axes: Axes,
    points: Sequence[Point],
    lines: Mapping[MethodKey, Mapping[str, Any]],
    markers: Mapping[str, str],
) -> None:
    front = pareto_front(points)
    axes.plot(
        [point.seconds for point in front],
        [point.value for point in front],
        color=figures.INK,
        linewidth=0.9,
        alpha=0.7,
        zorder=1,
    )
    for point in points:
        colour = lines[point.key]["color"]
        if not math.isnan(point.low + point.high):
            axes.plot([point.seconds] * 2, [point.low, point.high], color=colour, linewidth=1.8, alpha=0.4)
        marker = markers[point.key.setting]
        axes.plot([point.seconds], [point.value], marker=marker, markersize=MARKER_SIZE, color=colour, zorder=3)
    _scale_seconds(axes, [point.seconds for point in points])
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, -0.02), min(top, 1.02))
    figures.in_percent(axes.yaxis)
    axes.set_xlabel("seconds per image")


def _scale_seconds(axes: Axes, seconds: Sequence[float]) -> None:
    """Set a logarithmic axis with plain numbers, always several of them."""
    least, most = min(seconds), max(seconds)
    axes.set_xscale("log")
    axes.set_xlim(least / _AROUND, most * _AROUND)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most / least > _WIDE else (1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _add_legend(figure: Figure, markers: Mapping[str, str], caption: str) -> None:
    """Add the caption below the panels, and the meaning of the markers."""
    handles = [
        Line2D([], [], linestyle="", marker=marker, markersize=MARKER_SIZE, color=figures.FAINT, label=setting)
        for setting, marker in markers.items()
    ]
    place: dict[str, Any] = {"loc": "outside lower left", "alignment": "left", "borderpad": 0.2}
    figure.legend(handles=handles, title=caption, title_fontsize=8, ncols=legend_columns(list(markers)), **place)


def legend_columns(settings: Sequence[str]) -> int:
    """The number of columns of settings that fit into the width of the figure, at least one."""
    for columns in range(len(settings), 1, -1):
        parts = np.array_split(np.array(list(map(len, settings))), columns)  # as a legend is filled
        if sum(int(part.max()) + _MARKER_SIGNS for part in parts) <= _LEGEND_SIGNS:
            return columns
    return 1
