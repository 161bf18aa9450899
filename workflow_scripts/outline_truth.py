"""Rule outline_truth: the ground-truth masks of a category's test images in one file."""

from pathlib import Path

from zsad.evaluation.outline_truth import outline_truth
from zsad.workflow.job import job

with job(snakemake) as this:
    outline_truth(
        manifest=Path(snakemake.input.manifest),
        output=Path(snakemake.output.masks),
        provenance=this.provenance,
    )
