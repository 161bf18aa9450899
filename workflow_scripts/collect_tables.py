"""Rule collect_tables: one table of all metrics, one of all images, and the tables for a paper."""

from pathlib import Path

from zsad.evaluation.tables import collect_tables
from zsad.job import job

with job(snakemake):
    collect_tables(
        score_metrics=[Path(path) for path in snakemake.input.score_metrics],
        mask_metrics=[Path(path) for path in snakemake.input.mask_metrics],
        metrics_csv=Path(snakemake.output.metrics_csv),
        images_csv=Path(snakemake.output.images_csv),
        markdown=Path(snakemake.output.markdown),
        latex=Path(snakemake.output.latex),
    )
