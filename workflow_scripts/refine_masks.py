"""Rules refine_masks and prompt_masks: defect masks of one method by one refiner."""

from pathlib import Path

from zsad.refinement.refine_masks import prompting_of, refine_masks
from zsad.refinement.registry import REFINERS
from zsad.workflow.job import job

with job(snakemake) as this:
    refine_masks(
        image_list=Path(snakemake.input.image_list),
        scores=Path(snakemake.input.scores),
        decisions=Path(snakemake.input.decisions),
        refiner=REFINERS.build(this.cfg["refiner"], this.cfg["params"]),
        prompting=prompting_of(
            this.cfg.get("segmenter"), snakemake.resources.get("device", "auto"), dict(snakemake.input.items())
        ),
        output=Path(snakemake.output.masks),
        provenance=this.provenance,
    )
