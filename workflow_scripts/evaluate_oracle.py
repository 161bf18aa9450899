"""Rule evaluate_oracle: the upper bound of one segmentation model, prompted with boxes from the ground truth."""

from pathlib import Path

from zsad.evaluation.evaluate_oracle import evaluate_oracle
from zsad.evaluation.options import EvaluationOptions
from zsad.segmentation.registry import SEGMENTERS
from zsad.workflow.job import job

with job(snakemake) as this:
    evaluate_oracle(
        manifest=Path(snakemake.input.manifest),
        embeddings=Path(snakemake.input.embeddings),
        segmenter=SEGMENTERS.build(this.cfg["segmenter"]["family"], this.cfg["segmenter"]["params"]),
        name=snakemake.wildcards.segmenter,
        device=snakemake.resources.device,
        dataset=snakemake.wildcards.dataset,
        category=snakemake.wildcards.category,
        options=EvaluationOptions(**this.cfg["options"]),
        output=Path(snakemake.output.metrics),
        draws=Path(snakemake.output.draws),
        provenance=this.provenance,
    )
