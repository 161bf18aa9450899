"""Rule evaluate_scores: metrics of one method's scores."""

from pathlib import Path

from zsad.evaluation.evaluate_scores import evaluate_scores
from zsad.evaluation.options import EvaluationOptions
from zsad.workflow.job import job, path_of

with job(snakemake) as this:
    evaluate_scores(
        manifest=Path(snakemake.input.manifest),
        scores=Path(snakemake.input.scores),
        decisions=Path(snakemake.input.decisions),
        saturation=Path(this.cfg["saturation"]) if this.cfg["saturation"] else None,
        dataset=snakemake.wildcards.dataset,
        category=snakemake.wildcards.category,
        method=snakemake.wildcards.method,
        backbone=this.cfg["backbone"],
        group=this.cfg["group"],
        options=EvaluationOptions(**this.cfg["options"]),
        output=Path(snakemake.output.metrics),
        draws=path_of(snakemake.output, "draws"),
        provenance=this.provenance,
    )
