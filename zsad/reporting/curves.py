"""Plots of the curves of a category: ROC, precision-recall and per-region overlap, with bootstrap bands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from zsad.deciding.batch_verdict import in_percent
from zsad.files.json_values import number
from zsad.reporting import figures
from zsad.reporting.evaluations import (
    METRIC_TITLES,
    Evaluation,
    MethodKey,
    display_names,
    key_of,
    measured,
    protocol_in_words,
    read_one_category,
)
from zsad.reporting.options import ReportOptions
from zsad.tables.notation import percent, with_interval

_NEEDS_BOTH = "No curve: it needs both normal\nand defective labelled images."
_NEEDS_MASKS = "No curve: it needs ground-truth masks\nof defective images."
_MOST_BANDS = 4
_KEY_HEIGHT = 0.3  # of a row that holds only the key, relative to a row of panels
_LEGEND_BELOW = 0.42  # inches for the numbers and title of the x axis
_POINT: dict[str, Any] = {"marker": "o", "markersize": 7.5, "markeredgecolor": "white", "markeredgewidth": 1.2}
_NOMINAL: dict[str, Any] = {"color": figures.FAINT, "linewidth": 0.6}
_MOST_NAMED = 3  # nominal rates in the legend
_STRICT_LIMIT = 0.05  # of the second area under the PRO curve


class _Panel(NamedTuple):
    """One panel of the figure.

    Attributes:
        metrics: in the legend; the first one selects the methods with a band.
        draw_marks: function that adds the chance level, or limits.
        point: the two metrics of the decisions that give their x and y position; empty if the panel shows no decisions.
    """

    curve: str
    metrics: tuple[str, ...]
    title: str
    x: str
    y: str
    missing: str
    drawstyle: str
    draw_marks: Callable[[Axes, Sequence[Evaluation]], None] | None
    point: tuple[str, ...] = ()


def draw_curves(*, evaluations: Sequence[Path], options: ReportOptions, output: Path) -> None:
    """Plot ROC and precision-recall curves of images and pixels, and PRO curves, of one category, as PNG.

    A dot marks the decisions: their false-alarm rate and recall. It may lie off the curve, because images are ranked
    by their scores but decided by the peaks of their maps. A vertical line marks the nominal rate of the rule.

    A band contains the height of the curve in 95 % of the bootstrap replicates, point by point. With more than 4
    methods, only the best of each setting has a band. Panels without curves are left out.

    Raises:
        DataError: an evaluation is unreadable, or they belong to more than one category.
    """
    results = read_one_category(evaluations)
    names = display_names(map(key_of, results))
    lines = figures.method_lines(names)
    panels = [panel for panel in _PANELS if any(result["curves"].get(panel.curve) for result in results)]
    drawn, panels = bool(panels), panels or list(_PANELS)
    columns = 3 if len(panels) > 4 else 2
    heights = [1.0] * (len(panels) // columns) + [1.0 if len(panels) % columns else _KEY_HEIGHT]
    height = (13 + 0.54 * len(results) if drawn else 7.5) / 3 - (0.25 if columns == 3 else 0)
    with figures.styled():
        figure = Figure(figsize=(4 * columns if columns == 3 else 10, sum(heights) * height), layout="constrained")
        protocol = protocol_in_words(result["protocol"] for result in results)
        figures.write_title(figure, f"{results[0]['category']}: ranking curves", protocol)
        grid = list(figure.subplots(len(heights), columns, gridspec_kw={"height_ratios": heights}).flat)
        last = grid[len(panels)]
        for axes, panel in zip(grid, panels, strict=False):
            _draw_panel(axes, panel, results, names, lines)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        place = {"transform": last.transAxes, "va": "top", "wrap": True, "in_layout": False}
        last.text(0, 1, _key(results), fontsize=8.5, color=figures.FAINT, **place)
        figures.save(figure, output, options)


def with_bands(results: Sequence[Evaluation], metric: str, curve: str) -> list[Evaluation]:
    """The results whose bands of ``curve`` are drawn: up to 4 all, otherwise the best of each setting by ``metric``."""
    known = [result for result in results if result["bands"].get(curve)]
    if len(results) <= _MOST_BANDS:
        return known
    best: dict[str, Evaluation] = {}
    for result in sorted(known, key=lambda result: np.nan_to_num(measured(result, metric)[0], nan=-1)):
        best[result["setting"]] = result
    return [result for result in known if result is best[result["setting"]]]


def _draw_panel(
    axes: Axes,
    panel: _Panel,
    results: Sequence[Evaluation],
    names: Mapping[MethodKey, str],
    lines: Mapping[MethodKey, dict[str, Any]],
) -> None:
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    if not any(result["curves"].get(panel.curve) for result in results):
        figures.write_sentence(axes, panel.missing)
        return
    for result in with_bands(results, panel.metrics[0], panel.curve):
        band = result["bands"][panel.curve]
        low, high = (np.array(band[side], dtype=np.float64) for side in ("low", "high"))
        colour = lines[key_of(result)]["color"]
        axes.fill_between(band["x"], low, high, color=colour, alpha=0.16, linewidth=0)
    for result in results:
        key = key_of(result)
        curve = result["curves"].get(panel.curve) or {"x": [], "y": []}
        label = f"{names[key]}  {_in_legend(result, panel.metrics)}"
        axes.plot(curve["x"], curve["y"], label=label, drawstyle=panel.drawstyle, linewidth=1.6, **lines[key])
        if point := decided_at(result, panel.point):
            axes.plot(*point, color=lines[key]["color"], zorder=4, clip_on=False, **_POINT)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(0, 1.02)
    figures.in_percent(axes.xaxis, axes.yaxis)
    if panel.draw_marks:
        panel.draw_marks(axes, results)
    title = ", and ".join(METRIC_TITLES[metric] for metric in panel.metrics)
    below = axes.transAxes + ScaledTranslation(0, -_LEGEND_BELOW, axes.figure.dpi_scale_trans)
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, 0), "bbox_transform": below}
    axes.legend(title=title, alignment="left", **place)


def decided_at(result: Evaluation, names: Sequence[str]) -> tuple[float, float] | None:
    """The position of the decisions of an evaluation, from two of their metrics; None if one is unknown."""
    place = tuple(number(result["decision"].get(name)) for name in names)
    return (place[0], place[1]) if len(place) == 2 and not any(map(math.isnan, place)) else None


def _in_legend(result: Evaluation, metrics: Sequence[str]) -> str:
    shown = metrics[:1] if math.isnan(measured(result, metrics[0])[0]) else metrics
    return ",  ".join(with_interval(*measured(result, metric)) for metric in shown)


def _key(results: Sequence[Evaluation]) -> str:
    """An explanation of the figure."""
    lines = ["Legends: the metric in %, and in brackets", "its 95 % confidence interval."]
    if any(decided_at(result, _PANELS[0].point) for result in results):
        lines += [
            "",
            "Dots: decisions by the label-free thresholds. They may",
            "lie off the curves: images are ranked by their scores,",
        ]
        lines += ["but decided by the peaks of their maps."]
        if _nominal_rates(results):
            lines += ["Thin vertical lines: nominal false-alarm rate."]
    if any(result["bands"].get(panel.curve) for result in results for panel in _PANELS):
        lines += ["", "Light bands: 95 % of the bootstrap replicates, pointwise."]
        if len(results) > _MOST_BANDS:
            lines += ["Only the best method of each setting has a band."]
    return "\n".join(lines)


def _nominal_rates(results: Sequence[Evaluation]) -> list[float]:
    """The nominal false-alarm rates of the methods with a dot, each once."""
    known = [result for result in results if decided_at(result, _PANELS[0].point)]
    rates = {number(result["decision"].get("nominal")) for result in known}
    return sorted(rate for rate in rates if not math.isnan(rate))


def _chance_and_nominal(axes: Axes, results: Sequence[Evaluation]) -> None:
    _chance_diagonal(axes, results)
    rates = _nominal_rates(results)
    for rate in rates:
        axes.axvline(rate, **_NOMINAL, zorder=1)
    if rates:
        words = ", ".join(in_percent(rate) for rate in rates[:_MOST_NAMED]) + (", ..." if rates[_MOST_NAMED:] else "")
        axes.plot([], [], **_NOMINAL, label=f"nominal  {words}")


def _chance_diagonal(axes: Axes, _: Sequence[Evaluation]) -> None:
    axes.plot([0, 1], [0, 1], color=figures.FAINT, linewidth=0.9, linestyle=":", label="chance")


def _chance_share(axes: Axes, results: Sequence[Evaluation]) -> None:
    """Draw the precision of a random order: the share of defective images."""
    counts = results[0]["counts"]
    share = counts["defective"] / (counts["good"] + counts["defective"])
    axes.axhline(share, color=figures.FAINT, linewidth=0.9, linestyle=":", label=f"chance  {percent(share)}")


def _limits_and_chance(axes: Axes, results: Sequence[Evaluation]) -> None:
    limit = max(result["curves"]["pro"]["x"][-1] for result in results if result["curves"].get("pro"))
    _chance_diagonal(axes, results)
    for place, colour in ((limit, figures.INK), (_STRICT_LIMIT, figures.FAINT)):
        axes.axvline(place, color=colour, linewidth=0.9)
        side = "left" if place < 1 else "right"
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}
        axes.text(place, 0.02, f" limit {100 * place:.2g} % ", fontsize=8, ha=side, va="bottom", color=colour, bbox=box)
    axes.set_xlim(0, min(1.0, 1.2 * limit))


_PANELS = (
    _Panel(
        curve="image_roc",
        metrics=("image_auroc",),
        title="Image ROC",
        x="false-positive rate, % (normal images called defective)",
        y="true-positive rate, % (defective images found)",
        missing=_NEEDS_BOTH,
        drawstyle="default",
        draw_marks=_chance_and_nominal,
        point=("fpr", "recall"),
    ),
    _Panel(
        curve="image_pr",
        metrics=("image_ap",),
        title="Image precision and recall",
        x="recall, % (defective images found)",
        y="precision, % (correct among images called)",
        missing=_NEEDS_BOTH,
        drawstyle="steps-pre",
        draw_marks=_chance_share,
        point=("recall", "precision"),
    ),
    _Panel(
        curve="pixel_roc",
        metrics=("pixel_auroc",),
        title="Pixel ROC",
        x="false-positive rate, % (normal pixels called defective)",
        y="true-positive rate, % (defective pixels found)",
        missing=_NEEDS_MASKS,
        drawstyle="default",
        draw_marks=_chance_diagonal,
    ),
    _Panel(
        curve="pixel_pr",
        metrics=("pixel_ap",),
        title="Pixel precision and recall",
        x="recall, % (defective pixels found)",
        y="precision, % (correct among pixels called)",
        missing=_NEEDS_MASKS,
        drawstyle="steps-pre",
        draw_marks=None,
    ),
    _Panel(
        curve="pro",
        metrics=("aupro", "aupro_005"),
        title="Per-region overlap (PRO)",
        x="false-positive rate among normal pixels, %",
        y="found share of a defect region, mean over regions, %",
        missing=_NEEDS_MASKS,
        drawstyle="default",
        draw_marks=_limits_and_chance,
    ),
)
