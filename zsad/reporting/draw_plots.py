"""The plots of one category: curves, if there are any, and score histograms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zsad.reporting.curves import draw_curves
from zsad.reporting.distributions import draw_histograms
from zsad.reporting.options import ReportOptions


def draw_plots(
    *, evaluations: Sequence[Path], options: ReportOptions, histograms: Path, curves: Path | None = None
) -> None:
    """Draw ranking curves and score histograms of all methods on one category, as PNG.

    Args:
        evaluations: of scores, one a method.
        curves: None where no ranking can be measured.

    Raises:
        DataError: an evaluation is unreadable, or they are of more than one category.
    """
    if curves is not None:
        draw_curves(evaluations=evaluations, options=options, output=curves)
    draw_histograms(evaluations=evaluations, options=options, output=histograms)
