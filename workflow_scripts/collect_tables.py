"""Rule collect_tables: the tables of all metrics, images, defects, comparisons, and those for a paper."""

from pathlib import Path

from zsad.tables.collect_tables import collect_tables
from zsad.workflow.job import job, path_of
from zsad.workflow.measurable import TABLES

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
        to_meet=this.cfg.get("to_meet", {}),
        all_categories=this.cfg.get("all_categories", []),
        swept=dict(this.cfg.get("swept", [])),
        unmade=[Path(path) for path in this.cfg["unmade"]],
        **{name: path for name in TABLES if (path := path_of(snakemake.output, name))},
    )
