"""Rule embed_crops: embeddings of windows around the small components of one method's maps."""

from pathlib import Path

from zsad.features.execution import execution_of
from zsad.refinement.crops import CropOptions
from zsad.refinement.embed_crops import embed_crops
from zsad.segmentation.registry import SEGMENTERS
from zsad.workflow.job import job

with job(snakemake) as this:
    crops, segmenter = this.cfg["crops"], this.cfg["segmenter"]
    execution = execution_of(
        device=snakemake.resources.device,
        threads=snakemake.threads,
        batch=snakemake.resources.batch,
        workers=0,
        compiled=0,
    )
    embed_crops(
        image_list=Path(snakemake.input.image_list),
        scores=Path(snakemake.input.scores),
        decisions=Path(snakemake.input.decisions),
        options=CropOptions(**crops["options"]),
        min_area=crops["min_area"],
        max_prompts=crops["max_prompts"],
        segmenter=SEGMENTERS.build(segmenter["family"], segmenter["params"]),
        device=execution.device,
        batch=execution.batch,
        output=Path(snakemake.output.crops),
        provenance=this.provenance,
    )
