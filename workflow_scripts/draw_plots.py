"""Rules draw_plots and draw_histograms: curves, if there are any, and score histograms of one category."""

from pathlib import Path

from zsad.reporting.draw_plots import draw_plots
from zsad.reporting.options import ReportOptions
from zsad.workflow.job import job, path_of

with job(snakemake) as this:
    draw_plots(
        evaluations=[Path(path) for path in snakemake.input.evaluations],
        options=ReportOptions(**this.cfg),
        curves=path_of(snakemake.output, "curves"),
        histograms=Path(snakemake.output.histograms),
    )
