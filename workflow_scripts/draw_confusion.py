"""Rule draw_confusion: the confusion matrix of a classifier on one category."""

from pathlib import Path

from zsad.reporting.draw_confusion import draw_confusion
from zsad.reporting.options import ReportOptions
from zsad.workflow.job import job

with job(snakemake) as this:
    draw_confusion(
        evaluation=Path(snakemake.input.evaluation),
        options=ReportOptions(**this.cfg),
        output=Path(snakemake.output.confusion),
    )
