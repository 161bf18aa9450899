"""Rule draw_summary: all methods side by side over the categories, and against what they cost."""

from pathlib import Path

from zsad.files.checksums import require_unchanged
from zsad.reporting.bars import draw_bars
from zsad.reporting.options import ReportOptions
from zsad.reporting.quality_cost import draw_quality_cost
from zsad.reporting.summary import draw_summary
from zsad.workflow.job import job

with job(snakemake) as this:
    metrics_csv, cost_csv = Path(snakemake.input.metrics_csv), Path(snakemake.input.cost_csv)
    require_unchanged([metrics_csv], Path(snakemake.input.table_sums))
    require_unchanged([cost_csv], Path(snakemake.input.cost_sums))
    options = ReportOptions(**this.cfg)
    draw_summary(metrics_csv=metrics_csv, options=options, output=Path(snakemake.output.summary))
    draw_bars(metrics_csv=metrics_csv, options=options, output=Path(snakemake.output.bars))
    draw_quality_cost(
        metrics_csv=metrics_csv,
        cost_csv=cost_csv,
        options=options,
        output=Path(snakemake.output.quality_cost),
    )
