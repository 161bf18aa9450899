"""Rule evaluate_classes: metrics of one classifier's predictions."""

from pathlib import Path

from zsad.evaluation.evaluate_classes import evaluate_classes
from zsad.evaluation.options import EvaluationOptions
from zsad.workflow.job import job

with job(snakemake) as this:
    evaluate_classes(
        manifest=Path(snakemake.input.manifest),
        classified=Path(snakemake.input.classified),
        category=snakemake.wildcards.category,
        classifier=snakemake.wildcards.classifier,
        backbone=this.cfg["backbone"],
        options=EvaluationOptions(**this.cfg["options"]),
        output=Path(snakemake.output.metrics),
        provenance=this.provenance,
    )
