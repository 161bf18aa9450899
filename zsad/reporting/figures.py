"""The common style of all plots: one colour for each method, and files with the same bytes in every run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from zsad.files.atomic import atomic_path
from zsad.reporting.evaluations import MethodKey, method_order
from zsad.reporting.options import PNG, VECTOR_FORMATS, ReportOptions

# Okabe and Ito's palette for colour-blind readers, without its yellow, which is faint on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES = ("-", (0, (6, 1.5)), (0, (2.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
_HATCHES = (None, "////", "....", "xxxx")
GOOD_COLOUR, DEFECTIVE_COLOUR, UNKNOWN_COLOUR = "#0072B2", "#D55E00", "#7A7A7A"
_TITLE_INSET = 0.07  # inches
INK, FAINT, RULE = "#1B1F24", "#68707A", "#D4D8DD"

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.fontsize": 8,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # TrueType, whole glyphs that can be searched and edited; many journals refuse type 3
    "svg.hashsalt": "zsad",  # else identifiers in the file are random
}
# What each format would else say of the program and the time; None leaves it out.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None},
}


def styled() -> Any:
    """A context with the style, in which a figure must be both made and saved."""
    style: dict[Any, Any] = {**matplotlib.rcParamsDefault, **STYLE}
    return matplotlib.rc_context(style)


def method_lines(keys: Iterable[MethodKey]) -> dict[MethodKey, dict[str, Any]]:
    """Colour and dashes of each method, by its position in `method_order`; the dashes help in prints without colour."""
    ordered = sorted(set(keys), key=method_order)
    return {
        key: {"color": _COLOURS[place % len(_COLOURS)], "linestyle": _DASHES[place % len(_DASHES)]}
        for place, key in enumerate(ordered)
    }


def colours(count: int) -> list[str]:
    """Colours for lines that also have different markers; they repeat after seven."""
    return [_COLOURS[place % len(_COLOURS)] for place in range(count)]


def method_fills(keys: Iterable[MethodKey]) -> dict[MethodKey, dict[str, Any]]:
    """The fill of the bars of each method: its colour in `method_lines`, and a hatch if its line has dashes."""
    return {
        key: {"facecolor": line["color"], "hatch": _HATCHES[_DASHES.index(line["linestyle"])], "edgecolor": "white"}
        for key, line in method_lines(keys).items()
    }


def in_percent(*axes: Axis) -> None:
    """Label an axis of shares in per cent, without the sign."""
    for axis in axes:
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}"))


def write_title(figure: Figure, text: str, protocol: str) -> None:
    """Write the title of a figure, and on the right the protocol of its pixel metrics, if it is known."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=13, fontweight="bold")
    if protocol:
        top = 1 - _TITLE_INSET / figure.get_figheight()
        figure.text(0.99, top, f"protocol: {protocol}", ha="right", va="top", fontsize=9, color=FAINT)


def write_sentence(axes: Axes, sentence: str) -> None:
    """Explain in the middle of empty axes why nothing is plotted."""
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, sentence, transform=axes.transAxes, ha="center", va="center", color=FAINT, wrap=True)


def save(figure: Figure, output: Path, options: ReportOptions) -> None:
    """Write a PNG, and beside it the vector formats that are asked for, each whole or not at all.

    They carry neither the version of the program that made them nor a date. A vector file that is not asked for is
    removed, since it would show an earlier state.
    """
    with atomic_path(output) as temporary:
        figure.savefig(temporary, format=PNG, dpi=options.dpi, metadata=_METADATA[PNG])
    for ending in VECTOR_FORMATS:
        beside = vector_path(output, ending)
        if ending in options.vector_formats:
            with atomic_path(beside) as temporary:
                figure.savefig(temporary, format=ending, dpi=options.dpi, metadata=_METADATA[ending])
        else:
            beside.unlink(missing_ok=True)


def vector_path(png: Path, ending: str) -> Path:
    """Where a plot lies in a vector format, ``"pdf"`` or ``"svg"``."""
    return png.with_suffix(f".{ending}")
