"""The plots of a data set: all methods over the categories, and quality against cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zsad.reporting.bars import draw_bars
from zsad.reporting.draw_sweep import Sweep, draw_sweep
from zsad.reporting.options import ReportOptions
from zsad.reporting.quality_cost import draw_quality_cost
from zsad.reporting.summary import draw_means


def draw_summary(
    *,
    metrics_csv: Path,
    cost_csv: Path,
    options: ReportOptions,
    summary: Path,
    bars: Path,
    quality_cost: Path,
    sweeps: Sequence[tuple[Sweep, Path]] = (),
) -> None:
    """Plot the means with every category, the bars of every category, and quality against cost, as PNG.

    Args:
        sweeps: for each method that a sweep has split up, its entries, and where their plot goes.

    Raises:
        DataError: a table is missing or unreadable.
    """
    draw_means(metrics_csv=metrics_csv, options=options, output=summary)
    draw_bars(metrics_csv=metrics_csv, options=options, output=bars)
    draw_quality_cost(metrics_csv=metrics_csv, cost_csv=cost_csv, options=options, output=quality_cost)
    for sweep, output in sweeps:
        draw_sweep(metrics_csv=metrics_csv, sweep=sweep, options=options, output=output)
