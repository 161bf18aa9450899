"""Rule draw_plots: curves and score histograms of all methods on one category."""

from pathlib import Path

from zsad.job import job
from zsad.reporting.curves import draw_curves
from zsad.reporting.distributions import draw_histograms
from zsad.reporting.options import ReportOptions

with job(snakemake) as this:
    evaluations = [Path(path) for path in snakemake.input.evaluations]
    options = ReportOptions(**this.cfg)
    draw_curves(evaluations=evaluations, options=options, output=Path(snakemake.output.curves))
    draw_histograms(evaluations=evaluations, options=options, output=Path(snakemake.output.histograms))
