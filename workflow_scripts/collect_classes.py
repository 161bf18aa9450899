"""Rule collect_classes: the tables of classifiers' predictions and metrics."""

from pathlib import Path

from zsad.tables.collect_classes import collect_classes
from zsad.workflow.job import job, path_of
from zsad.workflow.measurable import CLASS_TABLES

with job(snakemake) as this:
    collect_classes(
        evaluations=[Path(path) for path in snakemake.input.evaluations],
        **{name: path for name in CLASS_TABLES if (path := path_of(snakemake.output, name))},
    )
