"""Rule collect_tables: the tables of all metrics, images, defects, comparisons, and those for a paper."""

from pathlib import Path

from zsad.evaluation.tables import collect_tables
from zsad.job import job

with job(snakemake) as this:
    collect_tables(
        score_metrics=[Path(path) for path in snakemake.input.score_metrics],
        score_draws=[Path(path) for path in snakemake.input.score_draws],
        mask_metrics=[Path(path) for path in snakemake.input.mask_metrics],
        mask_draws=[Path(path) for path in snakemake.input.mask_draws],
        oracle_metrics=[Path(path) for path in snakemake.input.oracle_metrics],
        oracle_draws=[Path(path) for path in snakemake.input.oracle_draws],
        textures=this.cfg["textures"],
        published=this.cfg["published"],
        metrics_csv=Path(snakemake.output.metrics_csv),
        defect_types_csv=Path(snakemake.output.defect_types_csv),
        images_csv=Path(snakemake.output.images_csv),
        refinement_csv=Path(snakemake.output.refinement_csv),
        comparisons_csv=Path(snakemake.output.comparisons_csv),
        markdown=Path(snakemake.output.markdown),
        latex=Path(snakemake.output.latex),
    )
