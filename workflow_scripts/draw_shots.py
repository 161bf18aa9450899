"""Rule draw_shots: accuracy of all classifiers on one category against the number of labelled examples."""

from pathlib import Path

from zsad.reporting.draw_shots import draw_shots
from zsad.reporting.options import ReportOptions
from zsad.workflow.job import job

with job(snakemake) as this:
    draw_shots(
        evaluations=[Path(path) for path in snakemake.input.evaluations],
        options=ReportOptions(**this.cfg),
        output=Path(snakemake.output.shots),
    )
