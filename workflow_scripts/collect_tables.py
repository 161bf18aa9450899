"""Rule collect_tables: one table of all metrics, one of all images, one of refinement, and the tables for a paper."""

from pathlib import Path

from zsad.evaluation.tables import collect_tables
from zsad.job import job

with job(snakemake):
    collect_tables(
        score_metrics=[Path(path) for path in snakemake.input.score_metrics],
        mask_metrics=[Path(path) for path in snakemake.input.mask_metrics],
        oracle_metrics=[Path(path) for path in snakemake.input.oracle_metrics],
        metrics_csv=Path(snakemake.output.metrics_csv),
        images_csv=Path(snakemake.output.images_csv),
        refinement_csv=Path(snakemake.output.refinement_csv),
        markdown=Path(snakemake.output.markdown),
        latex=Path(snakemake.output.latex),
    )
