"""Rule draw_summary: all methods side by side over the categories."""

from pathlib import Path

from zsad.job import job
from zsad.reporting.options import ReportOptions
from zsad.reporting.plots import draw_summary

with job(snakemake) as this:
    draw_summary(
        metrics_csv=Path(snakemake.input.metrics_csv),
        options=ReportOptions(**this.cfg),
        output=Path(snakemake.output.summary),
    )
