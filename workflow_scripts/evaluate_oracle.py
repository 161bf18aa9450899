"""Rule evaluate_oracle: the ceiling of one segmentation model, prompted with boxes from the ground truth."""

from pathlib import Path

from zsad.evaluation.oracle import evaluate_oracle
from zsad.job import job
from zsad.segmentation.registry import SEGMENTERS

with job(snakemake) as this:
    evaluate_oracle(
        manifest=Path(snakemake.input.manifest),
        embeddings=Path(snakemake.input.embeddings),
        segmenter=SEGMENTERS.build(this.cfg["family"], this.cfg["params"]),
        name=snakemake.wildcards.segmenter,
        device=snakemake.resources.device,
        dataset=snakemake.wildcards.dataset,
        category=snakemake.wildcards.category,
        output=Path(snakemake.output.metrics),
        provenance=this.provenance,
    )
