"""Rule adopt_decisions: the decisions of a modulation, by the thresholds of the method that it modulates."""

from pathlib import Path

from zsad.deciding.decide_images import adopt_decisions
from zsad.workflow.job import job

with job(snakemake) as this:
    adopt_decisions(
        scores=Path(snakemake.input.scores),
        decisions=Path(snakemake.input.decisions),
        output=Path(snakemake.output.decisions),
        provenance=this.provenance,
    )
