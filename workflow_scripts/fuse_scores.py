"""Rule fuse_scores: the scores of several methods, combined."""

from pathlib import Path

from zsad.scoring.fuse_scores import fuse_scores
from zsad.scoring.registry import FUSIONS
from zsad.workflow.job import job

with job(snakemake) as this:
    fuse_scores(
        scores=[Path(path) for path in snakemake.input.scores],
        fusion=FUSIONS.build(this.cfg["scorer"], this.cfg["params"]),
        output=Path(snakemake.output.scores),
        provenance=this.provenance,
    )
