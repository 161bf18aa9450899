"""Histograms of the values that decide on the images of a category, with the label-free threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zsad.reporting import figures
from zsad.reporting.decisions import common_value, region_thresholds
from zsad.reporting.evaluations import Evaluation, display_names, key_of, protocol_in_words, read_one_category
from zsad.reporting.options import ReportOptions

_LEAST_WIDTH = 7.0  # inches, for the title
_FEWEST_BINS, _MOST_BINS = 6, 24
_FAR = 1.0  # from the scores, as a multiple of their range
_MARGIN = 0.05
_FEW = 0.05  # share of the images at either end that are not shown if they lie far from the others
_ENOUGH = 6  # images, to recognise one that lies far from the others
_FAR_IMAGE = 3.0  # from the others, as a multiple of their range
_NOTE_HEIGHT = 0.16  # of the bars'
_KINDS = (
    (0, "good", figures.GOOD_COLOUR, None),
    (1, "defective", figures.DEFECTIVE_COLOUR, "///"),
    (None, "unlabelled", figures.UNKNOWN_COLOUR, None),
)


def draw_histograms(*, evaluations: Sequence[Path], options: ReportOptions, output: Path) -> None:
    """Plot the values that decide on normal and defective images, for each method of one category, as PNG.

    These are the peaks of the maps, or the image scores of a method that does not localise; the threshold is marked. If
    each image has its own threshold, the value is the peak minus this threshold.

    Raises:
        DataError: an evaluation is unreadable, or they are of more than one category.
    """
    results = read_one_category(evaluations)
    names = display_names(map(key_of, results))
    columns = min(2, len(results))
    rows = math.ceil(len(results) / columns)
    with figures.styled():
        figure = Figure(figsize=(max(_LEAST_WIDTH, 5 * columns), 2.6 * rows + 0.5), layout="constrained")
        protocol = protocol_in_words(result["protocol"] for result in results)
        figures.write_title(figure, f"{results[0]['category']}: peaks and label-free thresholds", protocol)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, result in zip(grid.flat, results, strict=False):
            _draw_histogram(axes, result, names[key_of(result)])
        for axes in grid.flat[len(results) :]:
            axes.set_axis_off()
        figures.save(figure, output, options)


class _Decided(NamedTuple):
    """The values that decide on the images of a method.

    Attributes:
        values: float64 ``[image]``; images above ``threshold`` are called defective. Infinite if each image has its own
            threshold and nothing exceeds that of this image.
        words: label of the axis.
        threshold: common to all; infinite if nothing exceeds it.
        name: name of the threshold.
    """

    values: np.ndarray
    words: str
    threshold: float
    name: str


def decided_values(result: Evaluation) -> _Decided:
    """The values that decide on the images of an evaluation, comparable between images."""
    peaks = np.array([image["peak"] for image in result["images"]], dtype=np.float64)
    thresholds = region_thresholds(result)
    threshold, what = common_value(thresholds), "peak of the map" if result["localises"] else "image score"
    if not math.isnan(threshold):
        return _Decided(peaks, what, threshold, f"label-free threshold {threshold:.3g}")
    return _Decided(
        peaks - np.array(thresholds), f"{what} minus the image's own threshold", 0.0, "label-free threshold"
    )


def _draw_histogram(axes: Axes, result: Evaluation, name: str) -> None:
    decided = decided_values(result)
    finite = np.isfinite(decided.values)
    scores = decided.values[finite]
    labels = [image["label"] for image, kept in zip(result["images"], finite, strict=True) if kept]
    low, high = _view(scores) if len(scores) else (0.0, 1.0)
    bins = min(_MOST_BINS, max(_FEWEST_BINS, round(2 * math.sqrt(len(scores)))))
    edges = np.linspace(low, high, bins + 1)
    for label, words, colour, hatch in _KINDS:
        chosen = scores[[image_label == label for image_label in labels]]
        if len(chosen):
            style: dict[str, Any] = {
                "facecolor": (colour, 0.35),
                "edgecolor": colour,
                "hatch": hatch,
                "hatch_linewidth": 0.5,
            }
            axes.hist(chosen, bins=edges.tolist(), histtype="stepfilled", label=f"{words} ({len(chosen)})", **style)
    threshold = decided.threshold
    notes = _beyond(scores, low, high)
    if count := int(np.count_nonzero(~finite)):
        notes.append((False, f"{count} with an infinite threshold"))
    reach = _FAR * (high - low)
    if math.isinf(threshold):
        notes.insert(0, (True, "label-free threshold: infinite"))
    elif low - reach <= threshold <= high + reach:
        axes.axvline(threshold, linestyle=(0, (4, 2)), label=decided.name, color=figures.INK, linewidth=1.2)
    else:
        notes.insert(0, (threshold > high, decided.name))
    if notes:
        _write_beyond(axes, low, high, notes)
    axes.set_title(name, pad=22)
    axes.set_xlabel(decided.words)
    axes.set_ylabel("images")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="x", visible=False)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=3, columnspacing=1.2, borderpad=0.2, borderaxespad=0)


def _view(scores: np.ndarray) -> tuple[float, float]:
    """Lowest and highest score of the bars: all scores, or all but a few outliers that would squeeze the others."""
    ordered = np.sort(scores)
    few = max(1, int(_FEW * len(ordered))) if len(ordered) >= _ENOUGH else 0
    usual_low, usual_high = ordered[few], ordered[len(ordered) - 1 - few]
    reach = _FAR_IMAGE * (usual_high - usual_low)
    if few and reach > 0:
        ordered = ordered[(ordered >= usual_low - reach) & (ordered <= usual_high + reach)]
    low, high = float(ordered[0]), float(ordered[-1])
    if low < high:
        return low, high
    half = 0.05 * abs(low) or 0.5  # all images have the same score
    return low - half, high + half


def _beyond(scores: np.ndarray, low: float, high: float) -> list[tuple[bool, str]]:
    """Notes on the images that lie left and right of the bars: whether on the right, and words."""
    notes = []
    for right, outside in ((False, scores[scores < low]), (True, scores[scores > high])):
        if len(outside):
            images = "1 image at" if len(outside) == 1 else f"{len(outside)} images to"
            notes.append((right, f"{images} {outside.max() if right else outside.min():.3g}"))
    return notes


def _write_beyond(axes: Axes, low: float, high: float, notes: Sequence[tuple[bool, str]]) -> None:
    """End the axis at the bars, with arrows above the bars towards images beyond it."""
    margin = _MARGIN * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(top=axes.get_ylim()[1] * (1 + _NOTE_HEIGHT * len(notes)))
    for line, (right, words) in enumerate(notes):
        height = 1 - _NOTE_HEIGHT * (line + 0.5) / (1 + _NOTE_HEIGHT * len(notes))
        edge, inner = (1.0, 0.9) if right else (0.0, 0.1)
        arrow = {"arrowstyle": "-|>", "color": figures.INK, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (edge, height), (inner, height), xycoords="axes fraction", arrowprops=arrow)
        place: dict[str, Any] = {"ha": "right", "va": "center"} if right else {"ha": "left", "va": "center"}
        axes.text(inner + (-0.015 if right else 0.015), height, words, transform=axes.transAxes, fontsize=8, **place)
    for right in sorted({right for right, _ in notes}):  # two strokes show where the axis is broken
        style: dict[str, Any] = {
            "transform": axes.transAxes,
            "clip_on": False,
            "linestyle": "none",
            "color": figures.FAINT,
        }
        axes.plot([0.985 if right else 0.015] * 2, [0, 0], marker=[(-0.5, -1), (0.5, 1)], markersize=9, **style)
