"""Rule draw_summary: all methods side by side over the categories, and against their cost."""

from pathlib import Path

from zsad.files.checksums import require_unchanged
from zsad.reporting.draw_summary import draw_summary
from zsad.reporting.draw_sweep import Sweep
from zsad.reporting.options import ReportOptions
from zsad.workflow.job import job

with job(snakemake) as this:
    metrics_csv, cost_csv = Path(snakemake.input.metrics_csv), Path(snakemake.input.cost_csv)
    require_unchanged([metrics_csv], Path(snakemake.input.table_sums))
    require_unchanged([cost_csv], Path(snakemake.input.cost_sums))
    sweeps = [Sweep(**{**one, "entries": dict(one["entries"])}) for one in this.cfg.pop("swept", [])]
    plots = map(Path, snakemake.output.get("sweeps", []))
    draw_summary(
        metrics_csv=metrics_csv,
        cost_csv=cost_csv,
        options=ReportOptions(**this.cfg),
        **{name: Path(snakemake.output[name]) for name in ("summary", "bars", "quality_cost")},
        sweeps=list(zip(sweeps, plots, strict=True)),
    )
