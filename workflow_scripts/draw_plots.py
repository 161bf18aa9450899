"""Rules draw_plots and draw_histograms: curves, if there are any, and score histograms of one category."""

from pathlib import Path

from zsad.reporting.curves import draw_curves
from zsad.reporting.distributions import draw_histograms
from zsad.reporting.options import ReportOptions
from zsad.workflow.job import job, path_of

with job(snakemake) as this:
    evaluations = [Path(path) for path in snakemake.input.evaluations]
    options = ReportOptions(**this.cfg)
    if curves := path_of(snakemake.output, "curves"):
        draw_curves(evaluations=evaluations, options=options, output=curves)
    draw_histograms(evaluations=evaluations, options=options, output=Path(snakemake.output.histograms))
