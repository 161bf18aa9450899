"""Rule collect_costs: seconds and peak memory of every method, stage and image, from the benchmarks of the run."""

from pathlib import Path

from zsad.files.checksums import require_unchanged
from zsad.tables.collect_costs import collect_costs
from zsad.workflow.job import job, path_of

with job(snakemake) as this:
    image_lists = [Path(path) for path in snakemake.input.image_lists]
    metrics_csv = path_of(snakemake.input, "metrics_csv")
    require_unchanged([metrics_csv], Path(snakemake.input.table_sums))
    collect_costs(
        methods=this.cfg["methods"],
        image_lists=dict(zip(this.cfg["categories"], image_lists, strict=True)),
        metrics_csv=metrics_csv,
        cost_csv=Path(snakemake.output.cost_csv),
        markdown=Path(snakemake.output.markdown),
        latex=Path(snakemake.output.latex),
        checksums=Path(snakemake.output.checksums),
    )
