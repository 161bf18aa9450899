"""Plot of the confusion matrix of a classifier on one category."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from zsad.reporting import figures
from zsad.reporting.class_evaluations import (
    ClassEvaluation,
    read_class_evaluations,
    regions_in_words,
    shortened,
    shown_row,
)
from zsad.reporting.options import ReportOptions

_LEAST_WIDTH = 7.0  # inches
_CELL = (0.34, 0.62)  # least and greatest width of a cell, inches
_WIDE = 4.0  # width of all cells of a matrix, inches, unless the cells have the least width
_LINE = 0.34  # height of a cell, inches
_LETTER = 0.078  # width of a letter of a name, inches
_LONGEST = 30  # letters of a name
_NEVER = " (no examples)"  # kinds that the classifier cannot predict
_SLANT = 45  # degrees, slant of the names below the cells
_MOST_BESIDE = 12  # kinds; with more, the matrices stand one below the other
_BOTTOM_LINES, _TOP_LINES = 0.75, 1.05  # inches: title of the axis below, headings above
_PALEST, _DARKEST = 0.0, 1.15  # slightly above the greatest share, whose colour would otherwise be nearly black
_NUMBER = 7.5  # points
_FRAME: dict[str, Any] = {"fill": False, "edgecolor": figures.INK, "linewidth": 0.9, "clip_on": False, "zorder": 3}


def draw_confusion(*, evaluation: Path, options: ReportOptions, output: Path) -> None:
    """Plot the matrix of true and predicted kinds, as numbers of images and as shares of each true kind, as PNG.

    It is for the number of shots that is shown elsewhere, summed over the random seeds. Kinds without examples have
    rows below the others, but no columns.

    Raises:
        DataError: the evaluation is missing or unreadable.
    """
    (result,) = read_class_evaluations([evaluation])
    row = shown_row(result)
    rows, columns = len(result["kinds"]) + len(result["unknown_kinds"]), len(result["kinds"])
    counts = np.array(row["confusion"], dtype=np.int64).reshape(rows, columns)
    names = shortened([*result["kinds"], *result["unknown_kinds"]], _LONGEST)
    beside = columns <= _MOST_BESIDE
    cell = float(np.clip(_WIDE / columns, *_CELL))
    lines = [name + _NEVER * (place >= columns) for place, name in enumerate(names)]
    names_width = _LETTER * max(map(len, lines))
    names_height = _LETTER * max(map(len, names[:columns])) * np.sin(np.radians(_SLANT)) + 0.15
    matrices = 2 if beside else 1
    width = max(_LEAST_WIDTH, names_width + 0.6 + matrices * (columns * cell + 0.3))
    height = (1 if beside else 2) * (rows * _LINE + names_height + _BOTTOM_LINES) + _TOP_LINES
    with figures.styled():
        figure = Figure(figsize=(width, height), layout="constrained")
        _write_heading(figure, result, row, width)
        grid = figure.subplots(1 if beside else 2, matrices, squeeze=False).flat
        shares = _shares(counts)
        texts = {
            "Images": [[f"{number}" for number in line] for line in counts],
            "Share of each true kind, in %": [[_percent(share) for share in line] for line in shares],
        }
        for place, (axes, (title, numbers)) in enumerate(zip(grid, texts.items(), strict=True)):
            _draw_matrix(axes, title, shares, numbers)
            _name_kinds(axes, names[:columns], lines if place == 0 or not beside else [])
        figures.save(figure, output, options)


def _write_heading(figure: Figure, result: ClassEvaluation, row: dict[str, Any], width: float) -> None:
    """Write the title, and below it the setting and the number of random seeds."""
    seeds = len(row["seeds"])
    words = [f"{row['setting']}", "one random seed" if seeds == 1 else f"summed over {seeds} random seeds"]
    words += filter(None, [regions_in_words(result["regions"])])
    letters = int(width / _LETTER)
    title = textwrap.fill(f"{result['category']}: defect types by {result['classifier']}", int(letters / 1.6))
    note = textwrap.fill(f"Trained on labelled defects: {', '.join(words)}", letters)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    figure.supxlabel(note, x=0.01, ha="left", fontsize=9, color=figures.FAINT)


def _shares(counts: np.ndarray) -> np.ndarray:
    """The share of each cell in its row; NaN in rows without images."""
    totals = counts.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
    return shares


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f}"


def _draw_matrix(axes: Axes, title: str, shares: np.ndarray, numbers: Sequence[Sequence[str]]) -> None:
    """Draw one matrix; the colour of a cell is always its share of the row."""
    rows, columns = shares.shape
    palette = colormaps["Blues"].with_extremes(bad="#ECEEF0")
    axes.imshow(shares, cmap=palette, vmin=_PALEST, vmax=_DARKEST, aspect="auto")
    for (line, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.6 * _DARKEST else figures.INK if share > 0 else figures.FAINT
        axes.text(column, line, numbers[line][column], ha="center", va="center", fontsize=_NUMBER, color=colour)
    for place in range(min(rows, columns)):
        corner = (place - 0.5, place - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, **_FRAME))
    if rows > columns:
        axes.axhline(columns - 0.5, color="white", linewidth=5, zorder=2)
    axes.set_title(title)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _name_kinds(axes: Axes, columns: Sequence[str], lines: Sequence[str]) -> None:
    """Write the names of the columns, and of the rows unless the matrix beside has them."""
    style: dict[str, Any] = {"rotation": _SLANT, "ha": "right", "rotation_mode": "anchor", "fontsize": 8.5}
    axes.set_xticks(range(len(columns)), columns, **style)
    axes.set_xlabel("predicted kind")
    axes.set_yticks(range(len(lines)), lines, fontsize=8.5)
    for label in axes.get_yticklabels()[len(columns) :]:
        label.set_color(figures.FAINT)
    if lines:
        axes.set_ylabel("true kind")
