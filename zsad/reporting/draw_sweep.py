"""Plot the metrics of a method against its swept parameters: a line, a heat map, or a point for each entry."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from zsad.files.json_values import value_in_words
from zsad.names import HEADLINE_METRICS, MEAN
from zsad.reporting import figures
from zsad.reporting.evaluations import METRIC_TITLES, protocol_in_words
from zsad.reporting.options import ReportOptions
from zsad.reporting.results import categories_of, interval_of, known_metrics, one_row_a_method, read_metrics
from zsad.tables.frames import rows_of
from zsad.tables.notation import percent

_NO_LABELS = "Not available: the data set has no labels or masks for it."
_WIDTH = 10.0  # inches
_WIDE = 8.0  # greatest over least value from which an axis is logarithmic
_MOST_LINES = 15  # categories that are drawn behind the mean
_DARK = 0.6  # share of the colour scale from which letters are white
_PALE = 1.15  # the colour scale ends so far beyond the greatest value, for its cell not to be nearly black
_ABSENT = ""  # in place of a value that an entry does not have

Row = Mapping[str, Any]


class Sweep(NamedTuple):
    """The methods that a sweep made out of one.

    Attributes:
        method: the name that they have in common.
        columns: the swept parameters, e.g. ``"memory_bank.shots"``.
        entries: by the name of each method, its values by column.
    """

    method: str
    columns: Sequence[str]
    entries: Mapping[str, Mapping[str, Any]]

    @property
    def varied(self) -> list[str]:
        """The columns in which entries differ; all columns if none differs."""
        texts = {column: {value_in_words(self.value(name, column)) for name in self.entries} for column in self.columns}
        return [column for column in self.columns if len(texts[column]) > 1] or list(self.columns)

    def value(self, name: str, column: str) -> Any:
        """The value of an entry; empty text if it has none."""
        return self.entries[name].get(column, _ABSENT)

    def axis(self, column: str) -> list[Any]:
        """The different values of a column: numbers in ascending order, others in order of appearance."""
        values = list(
            {value_in_words(value): value for value in (self.value(n, column) for n in self.entries)}.values()
        )
        return sorted(values) if all(map(is_number, values)) else values

    @property
    def is_line(self) -> bool:
        """Whether one numeric parameter was swept."""
        return len(self.varied) == 1 and len(self.entries) > 1 and all(map(is_number, self.axis(self.varied[0])))

    @property
    def is_grid(self) -> bool:
        """Whether all combinations of two parameters were swept."""
        if len(self.varied) != 2:
            return False
        rows, columns = map(self.axis, self.varied)
        return len(self.entries) == len(rows) * len(columns)


def draw_sweep(*, metrics_csv: Path, sweep: Sweep, options: ReportOptions, output: Path) -> None:
    """Draw image AUROC and AUPRO of a swept method, means over the categories, as PNG.

    For a method with several seeds, the mean is drawn.

    Raises:
        DataError: the table is absent or unreadable.
    """
    table = one_row_a_method(read_metrics(metrics_csv))
    rows = table[table["method"].isin(sweep.entries)]
    metrics = known_metrics(rows, HEADLINE_METRICS)
    means = {row["method"]: row for row in rows_of(rows[rows["category"] == MEAN])}
    lines = [
        {row["method"]: row for row in rows_of(rows[rows["category"] == category])} for category in categories_of(rows)
    ]
    with figures.styled():
        figure = Figure(figsize=(_WIDTH, _height(sweep)), layout="constrained")
        protocol = protocol_in_words(rows["protocol"])
        figures.write_title(figure, f"{sweep.method}: swept parameters, in %", protocol)
        for place, (metric, axes) in enumerate(
            zip(metrics, figure.subplots(1, len(metrics), squeeze=False)[0], strict=True)
        ):
            axes.set_title(f"{METRIC_TITLES[metric]}, mean")
            if not any(_is_known(row, metric) for row in means.values()):
                figures.write_sentence(axes, _NO_LABELS)
            elif sweep.is_line:
                _draw_line(axes, sweep, metric, means, lines if len(lines) <= _MOST_LINES else [])
            elif sweep.is_grid:
                _draw_grid(axes, sweep, metric, means)
            else:
                _draw_points(axes, sweep, metric, means, with_names=place == 0)
        figures.save(figure, output, options)


def is_number(value: Any) -> bool:
    """Whether a value is a number, and not a boolean."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _height(sweep: Sweep) -> float:
    if sweep.is_line:
        return 4.2
    if sweep.is_grid:
        return 2.2 + 0.42 * len(sweep.axis(_axes_of(sweep)[0]))
    return 1.5 + 0.3 * len(sweep.entries)


def _axes_of(sweep: Sweep) -> tuple[str, str]:
    """The parameter of the rows and that of the columns of a heat map; the one with more values is on the columns."""
    first, second = sweep.varied
    return (first, second) if len(sweep.axis(first)) <= len(sweep.axis(second)) else (second, first)


def _called(sweep: Sweep, column: str) -> str:
    """A column without the name of the method, which is in the title."""
    return column.removeprefix(f"{sweep.method}.")


def _is_known(row: Row | None, metric: str) -> bool:
    return row is not None and not math.isnan(row[metric])


def _draw_line(
    axes: Axes, sweep: Sweep, metric: str, means: Mapping[str, Row], lines: Sequence[Mapping[str, Row]]
) -> None:
    """The mean with its limits against the values; each category behind it, where there are several and not many."""
    (column,) = sweep.varied
    names = sorted(sweep.entries, key=lambda name: float(sweep.value(name, column)))
    values = [float(sweep.value(name, column)) for name in names]
    for of_category in lines if len(lines) > 1 else []:
        figured = [of_category[name][metric] if name in of_category else math.nan for name in names]
        axes.plot(values, figured, color=figures.FAINT, linewidth=1.0, alpha=0.6, zorder=1)
    known = [
        (value, means[name]) for value, name in zip(values, names, strict=True) if _is_known(means.get(name), metric)
    ]
    places, measured = [value for value, _ in known], [row[metric] for _, row in known]
    reach = [_reach(row, metric) for _, row in known]
    style: dict[str, Any] = {"color": figures.colours(1)[0], "marker": "o", "markersize": 5.5, "linewidth": 1.6}
    axes.errorbar(places, measured, yerr=list(zip(*reach, strict=True)), capsize=2.5, elinewidth=1.0, zorder=3, **style)
    if min(values) > 0 and max(values) / min(values) >= _WIDE:
        axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(values, [value_in_words(sweep.value(name, column)) for name in names])
    axes.set_xlabel(_called(sweep, column) + ("; grey: each category" if len(lines) > 1 else ""))
    _set_top(axes)
    figures.in_percent(axes.yaxis)


def _set_top(axes: Axes) -> None:
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, -0.02), min(top, 1.02))


def _reach(row: Row, metric: str) -> tuple[float, float]:
    """How far below and above the value its limits are; nothing where there are none."""
    low, high = interval_of(row, metric)
    below, above = row[metric] - low, high - row[metric]
    return (0.0 if math.isnan(below) else max(0.0, below), 0.0 if math.isnan(above) else max(0.0, above))


def _draw_grid(axes: Axes, sweep: Sweep, metric: str, means: Mapping[str, Row]) -> None:
    """A cell for each combination; colours from the least to the greatest value of the panel, the greatest bold."""
    down, across = _axes_of(sweep)
    rows, columns = sweep.axis(down), sweep.axis(across)
    table = np.full((len(rows), len(columns)), math.nan)
    for name in sweep.entries:
        row = means.get(name)
        if row is not None:
            table[rows.index(sweep.value(name, down)), columns.index(sweep.value(name, across))] = row[metric]
    lowest, highest = np.nanmin(table), np.nanmax(table)
    top = lowest + _PALE * max(highest - lowest, 1e-6)
    axes.imshow(table, cmap=colormaps["Blues"].with_extremes(bad="#ECEEF0"), vmin=lowest, vmax=top, aspect="auto")
    for place in itertools.product(range(len(rows)), range(len(columns))):
        value = table[place]
        dark = value > lowest + _DARK * (top - lowest)
        weight = "bold" if value == highest else "normal"
        colour = "white" if dark else figures.INK
        axes.text(place[1], place[0], percent(value), ha="center", va="center", color=colour, weight=weight)
    axes.set_xticks(range(len(columns)), list(map(value_in_words, columns)))
    axes.set_yticks(range(len(rows)), list(map(value_in_words, rows)))
    axes.set_xlabel(_called(sweep, across))
    axes.set_ylabel(_called(sweep, down))
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _draw_points(axes: Axes, sweep: Sweep, metric: str, means: Mapping[str, Row], *, with_names: bool) -> None:
    """A point with its limits for each entry, the first at the top."""
    names = list(sweep.entries)
    colour = figures.colours(1)[0]
    for place, name in enumerate(names):
        row = means.get(name)
        if row is None or not _is_known(row, metric):
            continue
        reach = [[length] for length in _reach(row, metric)]
        axes.errorbar([row[metric]], [place], xerr=reach, color=colour, marker="o", markersize=5.5, elinewidth=1.6)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [_entry_in_words(sweep, name) for name in names] if with_names else [])
    axes.grid(axis="y", visible=False)
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, -0.02), min(right, 1.02))
    figures.in_percent(axes.xaxis)


def _entry_in_words(sweep: Sweep, name: str) -> str:
    """The values of an entry that tell it from the others."""
    given = ((_called(sweep, column), sweep.value(name, column)) for column in sweep.varied)
    return ", ".join(f"{parameter} {value_in_words(value)}" for parameter, value in given if value != _ABSENT)
