"""The distributions of the image scores of a category, with the label-free threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsad.reporting import figures
from zsad.reporting.options import ReportOptions
from zsad.reporting.results import display_names, evaluation_key, protocol_in_words, read_one_category
from zsad.store import number

_LEAST_WIDTH = 7.0  # inches, for the title
_FEWEST_BINS, _MOST_BINS = 6, 24
_FAR = 1.0  # from the scores, as a multiple of their range
_MARGIN = 0.05
_KINDS = (
    (0, "good", figures.GOOD_COLOUR, None),
    (1, "defective", figures.DEFECTIVE_COLOUR, "///"),
    (None, "unlabelled", figures.UNKNOWN_COLOUR, None),
)


def draw_histograms(*, evaluations: Sequence[Path], options: ReportOptions, output: Path) -> None:
    """Draw the image scores of good and defective images for each method of one category, as PNG.

    Raises:
        DataError: an evaluation is unreadable, or they are of more than one category.
    """
    results = read_one_category(evaluations)
    names = display_names(map(evaluation_key, results))
    columns = min(2, len(results))
    rows = math.ceil(len(results) / columns)
    with figures.styled():
        figure = Figure(figsize=(max(_LEAST_WIDTH, 5 * columns), 2.6 * rows + 0.5), layout="constrained")
        protocol = protocol_in_words(result["protocol"] for result in results)
        figures.write_title(figure, f"{results[0]['category']}: image scores", protocol)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, result in zip(grid.flat, results, strict=False):
            _draw_histogram(axes, result, names[evaluation_key(result)])
        for axes in grid.flat[len(results) :]:
            axes.set_axis_off()
        figures.save(figure, output, options.dpi)


def _draw_histogram(axes: Axes, result: dict[str, Any], name: str) -> None:
    scores = np.array([image["score"] for image in result["images"]], dtype=np.float64)
    labels = [image["label"] for image in result["images"]]
    bins = min(_MOST_BINS, max(_FEWEST_BINS, round(2 * math.sqrt(len(scores)))))
    edges = np.histogram_bin_edges(scores, bins=bins)
    for label, words, colour, hatch in _KINDS:
        chosen = scores[[image_label == label for image_label in labels]]
        if len(chosen):
            style = {"facecolor": (colour, 0.35), "edgecolor": colour, "hatch": hatch, "hatch_linewidth": 0.5}
            axes.hist(chosen, bins=edges, histtype="stepfilled", label=f"{words} ({len(chosen)})", **style)
    threshold = number(result["image_threshold"])
    if not math.isnan(threshold):
        _draw_threshold(axes, threshold, edges[0], edges[-1])
    axes.set_title(name, pad=22)
    axes.set_xlabel("image score")
    axes.set_ylabel("images")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=3, columnspacing=1.2, borderpad=0.2, borderaxespad=0)


def _draw_threshold(axes: Axes, threshold: float, low: float, high: float) -> None:
    """A line at the threshold; an arrow towards it where it lies so far off that the bars would shrink to a line."""
    label = f"label-free threshold {threshold:.3g}"
    reach = _FAR * (high - low)
    style = {"color": figures.INK, "linewidth": 1.2}
    if low - reach <= threshold <= high + reach:
        axes.axvline(threshold, linestyle=(0, (4, 2)), label=label, **style)
        return
    margin = _MARGIN * (high - low)
    axes.set_xlim(low - margin, high + margin)
    is_right = threshold > high
    edge, inner = (1.0, 0.93) if is_right else (0.0, 0.07)
    axes.annotate(
        "", (edge, 0.9), (inner, 0.9), xycoords="axes fraction", arrowprops={"arrowstyle": "->", "shrinkA": 0, **style}
    )
    side = "right" if is_right else "left"
    axes.text(inner, 0.9, f"{label} ", transform=axes.transAxes, ha=side, va="center", fontsize="small")
