"""Rule modulate_scores: the maps of one method, modulated by the masks of one refiner."""

from pathlib import Path

from zsad.refinement.modulate_scores import modulate_scores
from zsad.refinement.registry import MODULATIONS
from zsad.workflow.job import job

with job(snakemake) as this:
    modulate_scores(
        scores=Path(snakemake.input.scores),
        decisions=Path(snakemake.input.decisions),
        masks=Path(snakemake.input.masks),
        modulation=MODULATIONS.build(this.cfg["scorer"], this.cfg["params"]),
        output=Path(snakemake.output.scores),
        provenance=this.provenance,
    )
