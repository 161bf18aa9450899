"""Rule decide_images: the decisions of one method, from its scores and those of its references."""

from pathlib import Path

from zsad.deciding.decide_images import decide_images
from zsad.deciding.registry import THRESHOLDS
from zsad.workflow.job import job, path_of

with job(snakemake) as this:
    decide_images(
        scores=Path(snakemake.input.scores),
        model=path_of(snakemake.input, "model"),
        rule=THRESHOLDS.build(this.cfg["rule"], this.cfg["params"]),
        output=Path(snakemake.output.decisions),
        provenance=this.provenance,
    )
