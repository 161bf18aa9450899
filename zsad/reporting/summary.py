"""Plot of the summary of a data set: the mean of every method with its confidence limits, and every category."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsad.names import HEADLINE_METRICS, MEAN, MEANS
from zsad.reporting import figures
from zsad.reporting.evaluations import METRIC_TITLES, MethodKey, display_names, key_of, protocol_in_words
from zsad.reporting.options import ReportOptions
from zsad.reporting.results import (
    by_method,
    categories_of,
    interval_of,
    keys_of,
    known_metrics,
    means_of,
    one_row_a_method,
    read_metrics,
    with_any,
)
from zsad.tables.frames import rows_of
from zsad.tables.notation import percent, with_interval

_HEAT_TOP = 1.1  # slightly above the greatest value, whose colour would otherwise be nearly black
_RIGHT = 0.75  # beyond it, the text of a mean ends at its upper limit
_NARROW = 7  # methods that fit side by side into half the width of a page


def draw_means(*, metrics_csv: Path, options: ReportOptions, output: Path) -> None:
    """Plot image AUROC and AUPRO of a data set: means with their confidence limits, and every category, as PNG.

    Metrics and categories without values are left out.

    Raises:
        DataError: the table is missing or unreadable.
    """
    rows = with_any(one_row_a_method(read_metrics(metrics_csv)), HEADLINE_METRICS)
    metrics = known_metrics(rows, HEADLINE_METRICS)
    names = display_names(keys_of(rows))
    lines = [*categories_of(rows), *means_of(rows)]
    side_by_side = len(names) <= _NARROW
    heat_height = 0.36 * len(lines) + 1.4
    heights = [0.42 * len(names) + 0.9, *([heat_height] if side_by_side else len(metrics) * [heat_height])]
    with figures.styled():
        figure = Figure(figsize=(10, sum(heights) + 0.5), layout="constrained")
        protocol = protocol_in_words(rows["protocol"])
        figures.write_title(figure, "Means over the categories, and each category, in %", protocol)
        grid = figure.add_gridspec(len(heights), len(metrics), height_ratios=heights)
        for column, metric in enumerate(metrics):
            means = rows_of(rows[rows["category"] == MEAN])
            _draw_means(figure.add_subplot(grid[0, column]), metric, means, names, with_names=column == 0)
            place = grid[1, column] if side_by_side else grid[1 + column, :]
            with_lines = column == 0 or not side_by_side
            _draw_heat_table(figure.add_subplot(place), metric, rows, names, lines, with_lines=with_lines)
        figures.save(figure, output, options)


def _draw_means(
    axes: Axes, metric: str, means: Sequence[Mapping[str, Any]], names: Mapping[MethodKey, str], *, with_names: bool
) -> None:
    axes.set_title(f"{METRIC_TITLES[metric]}, mean")
    known = [row for row in means if not math.isnan(row[metric])]
    if not known:
        figures.write_sentence(axes, "Not available: the data set has no labels or masks for it.")
        return
    lines = figures.method_lines(names)
    places = {key: place for place, key in enumerate(names)}
    for row in known:
        value, (low, high), key = row[metric], interval_of(row, metric), key_of(row)
        colour = lines[key]["color"]
        if not math.isnan(low + high):
            axes.plot([low, high], [places[key]] * 2, color=colour, linewidth=2.2, alpha=0.55)
        axes.plot([value], [places[key]], marker="o", markersize=7, color=colour)
        words = with_interval(value, low, high, row[f"{metric}_std"])
        text: dict[str, Any] = {"text": words, "ha": "right" if value > _RIGHT else "center", "fontsize": 8}
        right_end = max(_finite([value, high])) if value > _RIGHT else value
        axes.annotate(xy=(right_end, places[key]), xytext=(0, 6), textcoords="offset points", **text)
    axes.set_ylim(len(names) - 0.4, -0.75)
    axes.set_yticks(range(len(names)), [f"{name}\n{key.setting}" for key, name in names.items()] if with_names else [])
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.02)
    figures.in_percent(axes.xaxis)
    if metric.endswith("auroc"):
        least = min(_finite([value for row in known for value in (row[metric], *interval_of(row, metric))]))
        axes.set_xlim(max(0.0, min(0.4, least - 0.05)), 1.02)
        axes.axvline(0.5, color=figures.FAINT, linewidth=0.9, linestyle=":")
        axes.annotate(
            " chance", (0.5, 0), xycoords=("data", "axes fraction"), fontsize=8, color=figures.FAINT, va="bottom"
        )


def _draw_heat_table(
    axes: Axes,
    metric: str,
    rows: pd.DataFrame,
    names: Mapping[MethodKey, str],
    lines: Sequence[str],
    *,
    with_lines: bool,
) -> None:
    """One cell for each category and method, means in the last rows; a colour scale from chance (or 0) to 100 %."""
    cells = by_method(rows)
    table = np.array([[cells.get((line, key), {}).get(metric, math.nan) for key in names] for line in lines])
    lowest = 0.5 if metric.endswith("auroc") else 0.0
    palette = colormaps["Blues"].with_extremes(bad="#ECEEF0")
    axes.imshow(table, cmap=palette, vmin=lowest, vmax=_HEAT_TOP, aspect="auto")
    for (line, column), value in np.ndenumerate(table):
        dark = value > lowest + 0.6 * (_HEAT_TOP - lowest)
        style: dict[str, Any] = {"color": "white" if dark else figures.INK}
        if lines[line] in MEANS:
            style["weight"] = "bold"
        axes.text(column, line, percent(value), ha="center", va="center", **style)
    axes.axhline(sum(line not in MEANS for line in lines) - 0.5, color="white", linewidth=4)
    axes.set_title(f"{METRIC_TITLES[metric]}, each category")
    axes.set_xticks(range(len(names)), list(names.values()), rotation=25, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(lines)), lines if with_lines else [])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]
