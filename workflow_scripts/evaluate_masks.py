"""Rule evaluate_masks: agreement of one refiner's masks with the ground truth, before and after."""

from pathlib import Path

from zsad.evaluation.evaluate_masks import evaluate_masks
from zsad.evaluation.options import EvaluationOptions
from zsad.workflow.job import job, path_of

with job(snakemake) as this:
    evaluate_masks(
        manifest=Path(snakemake.input.manifest),
        scores=Path(snakemake.input.scores),
        decisions=Path(snakemake.input.decisions),
        masks=Path(snakemake.input.masks),
        category=snakemake.wildcards.category,
        method=snakemake.wildcards.method,
        refiner=snakemake.wildcards.refiner,
        options=EvaluationOptions(**this.cfg["options"]),
        output=Path(snakemake.output.metrics),
        draws=path_of(snakemake.output, "draws"),
        provenance=this.provenance,
    )
