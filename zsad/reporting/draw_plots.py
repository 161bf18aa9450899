"""The plots of one category: curves, if there are any, and histograms of scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zsad.reporting.curves import draw_curves
from zsad.reporting.distributions import draw_histograms
from zsad.reporting.options import ReportOptions


def draw_plots(
    *, evaluations: Sequence[Path], options: ReportOptions, histograms: Path, curves: Path | None = None
) -> None:
    """Plot ranking curves and histograms of scores of all methods on one category, as PNG.

    Args:
        evaluations: of scores, one for each method.
        curves: output file; None if no ranking can be measured.

    Raises:
        DataError: an evaluation is unreadable, or they belong to more than one category.
    """
    if curves is not None:
        draw_curves(evaluations=evaluations, options=options, output=curves)
    draw_histograms(evaluations=evaluations, options=options, output=histograms)
