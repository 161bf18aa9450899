"""Rule collect_classes: the tables of what classifiers say and how often they are right."""

from pathlib import Path

from zsad.tables.collect_classes import collect_classes
from zsad.workflow.job import job

with job(snakemake) as this:
    collect_classes(
        evaluations=[Path(path) for path in snakemake.input.evaluations],
        answers_csv=Path(snakemake.output.answers_csv),
        metrics_csv=Path(snakemake.output.metrics_csv),
        markdown=Path(snakemake.output.markdown),
        latex=Path(snakemake.output.latex),
        checksums=Path(snakemake.output.checksums),
    )
