"""Rule build_page: one HTML file that opens offline, or an index with one page per category."""

from pathlib import Path

from zsad.files.checksums import require_unchanged
from zsad.reporting.build_page import build_page
from zsad.workflow.job import job, path_of

with job(snakemake) as this:
    names = ("metrics_csv", "refinement_csv", "comparisons_csv", "against_csv")
    tables = {name: path_of(snakemake.input, name) for name in names}
    cost_csv = Path(snakemake.input.cost_csv)
    require_unchanged(tables.values(), Path(snakemake.input.table_sums))
    require_unchanged([cost_csv], Path(snakemake.input.cost_sums))
    build_page(
        dataset=snakemake.wildcards.dataset,
        **tables,
        evaluations=[Path(path) for path in snakemake.input.evaluations],
        mask_evaluations=[Path(path) for path in snakemake.input.mask_evaluations],
        galleries=[Path(path) for path in snakemake.input.galleries],
        summary_plot=path_of(snakemake.input, "summary"),
        curve_plots=dict(zip(this.cfg["with_curves"], map(Path, snakemake.input.curves), strict=True)),
        histogram_plots=dict(zip(this.cfg["categories"], map(Path, snakemake.input.histograms), strict=True)),
        checks=dict(zip(this.cfg["categories"], map(Path, snakemake.input.checks), strict=True)),
        image_lists=dict(zip(this.cfg["categories"], map(Path, snakemake.input.image_lists), strict=True)),
        thumbnails=dict(zip(this.cfg["categories"], map(Path, snakemake.input.thumbnails), strict=True)),
        layers=[Path(path) for path in snakemake.input.layers],
        root=this.cfg["root"],
        configuration=this.cfg["configuration"],
        method_summaries=this.cfg["methods"],
        cost_csv=cost_csv,
        bars_plot=path_of(snakemake.input, "bars"),
        quality_plot=path_of(snakemake.input, "quality_cost"),
        sweep_plots=dict(zip(this.cfg.get("swept", []), map(Path, snakemake.input.get("sweeps", [])), strict=True)),
        output=Path(snakemake.output.page),
        folder=Path(snakemake.output.folder),
        heaviest=this.cfg["configuration"]["report"]["page_mb"],
        class_evaluations=[Path(path) for path in snakemake.input.class_evaluations],
        confusion_plots=dict(
            zip(map(tuple, this.cfg["confusions"]), map(Path, snakemake.input.confusions), strict=True)
        ),
        shots_plots=dict(zip(this.cfg["with_kinds"], map(Path, snakemake.input.shots), strict=True)),
        support_thumbnails=dict(
            zip(map(tuple, this.cfg["supports"]), map(Path, snakemake.input.support_thumbnails), strict=True)
        ),
        group_size=this.cfg["configuration"]["report"]["gallery"],
    )
