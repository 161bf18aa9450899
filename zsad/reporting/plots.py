"""The plots: curves and score distributions of a category, and the summary of a data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsad.errors import DataError
from zsad.reporting import figures
from zsad.reporting.options import ReportOptions
from zsad.reporting.results import (
    METRIC_TITLES,
    MethodKey,
    MetricsRow,
    display_names,
    evaluation_key,
    read_evaluations,
    read_metrics,
)
from zsad.store import MEAN, number

Evaluation = dict[str, Any]

_NEEDS_BOTH = "No curve: it needs labelled images\nof both kinds, good and defective."
_NEEDS_MASKS = "No curve: it needs ground-truth masks\nof defective images."
_SUMMARY_METRICS = ("image_auroc", "aupro")
_MOST_BINS = 24
_HEAT_TOP = 1.1  # a little above the greatest value, which would otherwise be nearly black


class _Panel(NamedTuple):
    """One axes of the figure of curves."""

    curve: str
    metric: str
    title: str
    x: str
    y: str
    missing: str
    drawstyle: str
    draw_chance: Callable[[Axes, Sequence[Evaluation]], None] | None


def draw_curves(*, evaluations: Sequence[Path], options: ReportOptions, output: Path) -> None:
    """Draw image ROC, image PR, pixel PR and PRO curves of all methods of one category, as PNG.

    Raises:
        DataError: an evaluation is unreadable, or they are of more than one category.
    """
    results = _of_one_category(evaluations)
    names = display_names(map(evaluation_key, results))
    lines = figures.method_lines(names)
    with figures.styled():
        drawn = any(curve for result in results for curve in result["curves"].values())
        figure = Figure(figsize=(10, 9 + 0.36 * len(results) if drawn else 5), layout="constrained")
        _title(figure, f"{results[0]['category']}: ranking curves")
        for axes, panel in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
            _draw_panel(axes, panel, results, names, lines)
        figures.save(figure, output, options.dpi)


def draw_histograms(*, evaluations: Sequence[Path], options: ReportOptions, output: Path) -> None:
    """Draw the image scores of good and defective images for each method of one category, as PNG.

    Raises:
        DataError: an evaluation is unreadable, or they are of more than one category.
    """
    results = _of_one_category(evaluations)
    names = display_names(map(evaluation_key, results))
    columns = min(2, len(results))
    rows = math.ceil(len(results) / columns)
    with figures.styled():
        figure = Figure(figsize=(5 * columns, 2.6 * rows + 0.5), layout="constrained")
        _title(figure, f"{results[0]['category']}: image scores")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, result in zip(grid.flat, results, strict=False):
            _draw_histogram(axes, result, names[evaluation_key(result)])
        for axes in grid.flat[len(results) :]:
            axes.set_axis_off()
        figures.save(figure, output, options.dpi)


def draw_summary(*, metrics_csv: Path, options: ReportOptions, output: Path) -> None:
    """Draw image AUROC and AUPRO of a data set: means with their confidence limits, and every category, as PNG.

    Raises:
        DataError: the table is absent or unreadable.
    """
    rows = _one_row_a_method(read_metrics(metrics_csv))
    names = display_names(row.key for row in rows)
    categories = list(dict.fromkeys(row.category for row in rows if row.category != MEAN))
    heights = (0.42 * len(names) + 0.9, 0.36 * (len(categories) + 1) + 1.4)
    with figures.styled():
        figure = Figure(figsize=(10, sum(heights) + 0.5), layout="constrained")
        _title(figure, "Means over the categories, and each category")
        grid = figure.subplots(2, len(_SUMMARY_METRICS), height_ratios=heights)
        for column, metric in enumerate(_SUMMARY_METRICS):
            means = [row for row in rows if row.category == MEAN]
            _draw_means(grid[0, column], metric, means, names, with_names=column == 0)
            _draw_heat_table(grid[1, column], metric, rows, names, categories, with_names=column == 0)
        figures.save(figure, output, options.dpi)


def _of_one_category(paths: Sequence[Path]) -> list[Evaluation]:
    results = read_evaluations(paths)
    categories = sorted({result["category"] for result in results})
    if len(categories) != 1:
        raise DataError(f"a figure shows one category, not {len(categories)} ({', '.join(categories)})")
    return results


def _title(figure: Figure, text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left", fontsize=13, fontweight="bold")


# --- curves -------------------------------------------------------------------------------------------------------


def _draw_panel(
    axes: Axes,
    panel: _Panel,
    results: Sequence[Evaluation],
    names: dict[MethodKey, str],
    lines: dict[MethodKey, dict[str, Any]],
) -> None:
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    if not any(result["curves"].get(panel.curve) for result in results):
        figures.write_sentence(axes, panel.missing)
        return
    for result in results:
        key = evaluation_key(result)
        curve = result["curves"].get(panel.curve) or {"x": [], "y": []}
        label = f"{names[key]}  {_with_interval(result, panel.metric)}"
        axes.plot(curve["x"], curve["y"], label=label, drawstyle=panel.drawstyle, linewidth=1.6, **lines[key])
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(0, 1.02)
    if panel.draw_chance:
        panel.draw_chance(axes, results)
    axes.legend(title=METRIC_TITLES[panel.metric], alignment="left", loc="upper left", bbox_to_anchor=(0, -0.13))


def _with_interval(result: Evaluation, metric: str) -> str:
    value = number(result["metrics"].get(metric))
    if math.isnan(value):
        return "not available"
    low, high = (number(limit) for limit in result["confidence"].get(metric) or (None, None))
    return f"{value:.3f}" if math.isnan(low + high) else f"{value:.3f} ({low:.2f}–{high:.2f})"


def _chance_diagonal(axes: Axes, _: Sequence[Evaluation]) -> None:
    axes.plot([0, 1], [0, 1], color=figures.FAINT, linewidth=0.9, linestyle=":", label="chance")


def _chance_share(axes: Axes, results: Sequence[Evaluation]) -> None:
    """Precision of a random order: the share of defective images."""
    counts = results[0]["counts"]
    share = counts["defective"] / (counts["good"] + counts["defective"])
    axes.axhline(share, color=figures.FAINT, linewidth=0.9, linestyle=":", label=f"chance  {share:.3f}")


def _limit_and_chance(axes: Axes, results: Sequence[Evaluation]) -> None:
    limit = max(result["curves"]["pro"]["x"][-1] for result in results if result["curves"].get("pro"))
    _chance_diagonal(axes, results)
    axes.axvline(limit, color=figures.INK, linewidth=0.9)
    side = "left" if limit < 1 else "right"
    axes.text(limit, 0.02, f" limit {limit:.2g} ", fontsize=8, ha=side, va="bottom")
    axes.set_xlim(0, min(1.0, 1.2 * limit))


_PANELS = (
    _Panel(
        curve="image_roc",
        metric="image_auroc",
        title="Image ROC",
        x="false-positive rate (good images called defective)",
        y="true-positive rate (defective images found)",
        missing=_NEEDS_BOTH,
        drawstyle="default",
        draw_chance=_chance_diagonal,
    ),
    _Panel(
        curve="image_pr",
        metric="image_ap",
        title="Image precision and recall",
        x="recall (defective images found)",
        y="precision (right among those called defective)",
        missing=_NEEDS_BOTH,
        drawstyle="steps-pre",
        draw_chance=_chance_share,
    ),
    _Panel(
        curve="pixel_pr",
        metric="pixel_ap",
        title="Pixel precision and recall",
        x="recall (defective pixels found)",
        y="precision (right among pixels called defective)",
        missing=_NEEDS_MASKS,
        drawstyle="steps-pre",
        draw_chance=None,
    ),
    _Panel(
        curve="pro",
        metric="aupro",
        title="Per-region overlap (PRO)",
        x="false-positive rate among good pixels",
        y="share of a defect region found, mean over regions",
        missing=_NEEDS_MASKS,
        drawstyle="default",
        draw_chance=_limit_and_chance,
    ),
)


# --- score distributions ------------------------------------------------------------------------------------------


def _draw_histogram(axes: Axes, result: Evaluation, name: str) -> None:
    groups = (
        (0, "good", figures.GOOD_COLOUR, None),
        (1, "defective", figures.DEFECTIVE_COLOUR, "///"),
        (None, "unlabelled", figures.UNKNOWN_COLOUR, None),
    )
    scores = np.array([image["score"] for image in result["images"]], dtype=np.float64)
    labels = [image["label"] for image in result["images"]]
    edges = np.histogram_bin_edges(scores, bins=min(_MOST_BINS, max(6, round(2 * math.sqrt(len(scores))))))
    for label, words, colour, hatch in groups:
        chosen = scores[[image_label == label for image_label in labels]]
        if len(chosen):
            style = {"facecolor": (colour, 0.35), "edgecolor": colour, "hatch": hatch, "hatch_linewidth": 0.5}
            axes.hist(chosen, bins=edges, histtype="stepfilled", label=f"{words} ({len(chosen)})", **style)
    threshold = number(result["image_threshold"])
    if not math.isnan(threshold):
        label = f"label-free threshold {threshold:.3g}"
        axes.axvline(threshold, color=figures.INK, linewidth=1.2, linestyle=(0, (4, 2)), label=label)
    axes.set_title(name, pad=22)
    axes.set_xlabel("image score")
    axes.set_ylabel("images")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=3, columnspacing=1.2, borderpad=0.2, borderaxespad=0)


# --- summary ------------------------------------------------------------------------------------------------------


def _one_row_a_method(rows: Sequence[MetricsRow]) -> list[MetricsRow]:
    """The rows without repetition by refiner: refiners change masks, not the ranking metrics drawn here."""
    first: dict[tuple[str, MethodKey], MetricsRow] = {}
    for row in rows:
        first.setdefault((row.category, row.key), row)
    return list(first.values())


def _draw_means(
    axes: Axes, metric: str, means: Sequence[MetricsRow], names: dict[MethodKey, str], *, with_names: bool
) -> None:
    axes.set_title(f"{METRIC_TITLES[metric]}, mean")
    known = [row for row in means if not math.isnan(row.value(metric))]
    if not known:
        figures.write_sentence(axes, "Not available: the data set has no labels or masks for it.")
        return
    lines = figures.method_lines(names)
    places = {key: place for place, key in enumerate(names)}
    for row in known:
        value, (low, high) = row.value(metric), row.interval(metric)
        colour = lines[row.key]["color"]
        if not math.isnan(low + high):
            axes.plot([low, high], [places[row.key]] * 2, color=colour, linewidth=2.2, alpha=0.55)
        axes.plot([value], [places[row.key]], marker="o", markersize=7, color=colour)
        axes.annotate(
            f"{value:.3f}", (value, places[row.key]), (0, 6), textcoords="offset points", ha="center", fontsize=8
        )
    axes.set_ylim(len(names) - 0.4, -0.75)
    axes.set_yticks(range(len(names)), [f"{name}\n{key.setting}" for key, name in names.items()] if with_names else [])
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.02)
    if metric.endswith("auroc"):
        least = min(_finite([value for row in known for value in (row.value(metric), *row.interval(metric))]))
        axes.set_xlim(max(0.0, min(0.4, least - 0.05)), 1.02)
        axes.axvline(0.5, color=figures.FAINT, linewidth=0.9, linestyle=":")
        axes.annotate(
            " chance", (0.5, 0), xycoords=("data", "axes fraction"), fontsize=8, color=figures.FAINT, va="bottom"
        )


def _draw_heat_table(
    axes: Axes,
    metric: str,
    rows: Sequence[MetricsRow],
    names: dict[MethodKey, str],
    categories: Sequence[str],
    *,
    with_names: bool,
) -> None:
    """A cell a category and method, the mean in the last row; one colour scale from chance (or 0) to 1."""
    values = {(row.category, row.key): row.value(metric) for row in rows}
    lines = [*categories, MEAN]
    table = np.array([[values.get((category, key), math.nan) for key in names] for category in lines])
    lowest = 0.5 if metric.endswith("auroc") else 0.0
    palette = colormaps["Blues"].with_extremes(bad="#ECEEF0")
    axes.imshow(table, cmap=palette, vmin=lowest, vmax=_HEAT_TOP, aspect="auto")
    for (line, column), value in np.ndenumerate(table):
        dark = value > lowest + 0.6 * (_HEAT_TOP - lowest)
        text = "n/a" if math.isnan(value) else f"{value:.3f}"
        weight = "bold" if lines[line] == MEAN else "normal"
        axes.text(column, line, text, ha="center", va="center", color="white" if dark else figures.INK, weight=weight)
    axes.axhline(len(categories) - 0.5, color="white", linewidth=4)
    axes.set_title(f"{METRIC_TITLES[metric]}, each category")
    axes.set_xticks(range(len(names)), list(names.values()), rotation=25, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(lines)), lines if with_names else [])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]
