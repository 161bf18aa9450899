"""Bar chart of a data set: all categories side by side, with one bar and its confidence limits for each method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsad.names import MEANS
from zsad.reporting import figures
from zsad.reporting.evaluations import METRIC_TITLES, MethodKey, display_names, protocol_in_words
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
from zsad.tables.notation import NOT_AVAILABLE

_METRICS = ("image_auroc", "pixel_ap", "aupro")
_WIDTH, _LEAST_WIDTH = 10.0, 5.0  # inches
_MOST_BARS = 150  # in a row of groups, gaps included: narrower bars hide their limits
_FEWEST_BARS = 30  # in the full width: wider bars look clumsy
_GAP = 1.5  # between groups, in bars
_LEGEND_COLUMN = 2.4  # inches


def draw_bars(*, metrics_csv: Path, options: ReportOptions, output: Path) -> None:
    """Plot image AUROC, pixel AP and AUPRO of every category, and the means last, one bar for each method, as PNG.

    Categories that do not fit side by side continue in a row below. Metrics and categories without values are left
    out.

    Raises:
        DataError: the table is missing or unreadable.
    """
    rows = with_any(one_row_a_method(read_metrics(metrics_csv)), _METRICS)
    metrics = known_metrics(rows, _METRICS)
    names = display_names(keys_of(rows))
    wrapped = rows_of_groups(groups_of(rows), len(names))
    bars = len(wrapped[0]) * (len(names) + _GAP)
    width = max(_LEAST_WIDTH, _WIDTH * min(1, bars / _FEWEST_BARS))
    columns = int(width / _LEGEND_COLUMN)
    height = len(metrics) * len(wrapped) * 1.9 + 0.2 * math.ceil(len(names) / columns) + 1.0
    with figures.styled():
        figure = Figure(figsize=(width, height), layout="constrained")
        protocol = protocol_in_words(rows["protocol"])
        figures.write_title(figure, "Results by category, in %", protocol)
        grid = figure.subplots(len(metrics) * len(wrapped), 1, squeeze=False)[:, 0]
        places = [(metric, groups) for metric in metrics for groups in wrapped]
        for axes, (metric, groups) in zip(grid, places, strict=True):
            _draw_groups(axes, metric, groups, rows, names, most_bars=max(bars, _FEWEST_BARS * width / _WIDTH))
            if groups is wrapped[0]:
                axes.set_title(METRIC_TITLES[metric])
        handles, labels = grid[0].get_legend_handles_labels()
        if handles:
            title = "Whiskers: 95 % confidence limits"
            figure.legend(handles, labels, loc="outside lower left", ncols=columns, title=title, alignment="left")
        figures.save(figure, output, options)


def groups_of(rows: pd.DataFrame) -> list[str]:
    """The categories, then the means; no mean over a single category."""
    categories = categories_of(rows)
    return [*categories, *(means_of(rows) if len(categories) > 1 else [])]


def rows_of_groups(groups: Sequence[str], methods: int) -> list[Sequence[str]]:
    """The groups in rows of about equal length, none with too many bars to read."""
    fitting = max(1, int(_MOST_BARS / (methods + _GAP)))
    length = math.ceil(len(groups) / math.ceil(len(groups) / fitting))
    return [groups[start : start + length] for start in range(0, len(groups), length)]


def _draw_groups(
    axes: Axes,
    metric: str,
    groups: Sequence[str],
    rows: pd.DataFrame,
    names: Mapping[MethodKey, str],
    *,
    most_bars: float,
) -> None:
    """Draw one row of groups; ``most_bars`` is the number in a full row, so that bars are equally wide in every row."""
    of_cell = by_method(rows)
    fills = figures.method_fills(names)
    pitch = len(names) + _GAP
    starts = np.arange(len(groups)) * pitch
    for place, (key, name) in enumerate(names.items()):
        cells = [of_cell.get((group, key)) for group in groups]
        values = np.array([cell[metric] if cell else math.nan for cell in cells])
        limits = np.array([interval_of(cell or {}, metric) for cell in cells]).T
        at = starts + place + 0.5
        axes.bar(at, values, width=0.9, label=name, linewidth=0, **fills[key])
        reach = np.clip([values - limits[0], limits[1] - values], 0, None)  # a mean may lie slightly outside its limits
        axes.errorbar(at, values, yerr=reach, fmt="none", ecolor=figures.INK, elinewidth=0.9, capsize=1.5)
    if rows[metric].isna().all():
        figures.write_sentence(axes, "Not available: the data set has no labels or masks for it.")
        return
    _mark_missing(axes, starts + len(names) / 2, groups, of_cell, metric, names)
    axes.set_xticks(starts + len(names) / 2, groups, rotation=20, ha="right", rotation_mode="anchor")
    for label, group in zip(axes.get_xticklabels(), groups, strict=True):
        label.set_fontweight("bold" if group in MEANS else "normal")
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-_GAP / 2, most_bars - _GAP / 2)
    axes.set_ylim(0, 1.02)
    figures.in_percent(axes.yaxis)
    axes.grid(axis="x", visible=False)
    if metric.endswith("auroc"):
        axes.axhline(0.5, color=figures.FAINT, linewidth=0.9, linestyle=":")


def _mark_missing(
    axes: Axes,
    middles: np.ndarray,
    groups: Sequence[str],
    of_cell: Mapping[tuple[str, MethodKey], Mapping[str, Any]],
    metric: str,
    names: Mapping[MethodKey, str],
) -> None:
    """Write "n/a" where no method has a value."""
    for middle, group in zip(middles, groups, strict=True):
        cells = [of_cell.get((group, key)) for key in names]
        if all(cell is None or math.isnan(cell[metric]) for cell in cells):
            axes.text(middle, 0.02, NOT_AVAILABLE, ha="center", va="bottom", color=figures.FAINT, fontsize=8)
