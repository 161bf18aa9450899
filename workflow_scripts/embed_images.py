"""Rule embed_images: embeddings of a subset of a category's images, by a promptable segmentation model."""

from pathlib import Path

from zsad.features.execution import execution_of
from zsad.segmentation.embed_images import embed_images
from zsad.segmentation.registry import SEGMENTERS
from zsad.segmentation.weights import local_files
from zsad.sharing.root import EMBEDDINGS, shared_folder
from zsad.workflow.job import job

with job(snakemake) as this:
    embed_images(
        image_list=Path(snakemake.input.image_list),
        category=snakemake.wildcards.category,
        subset=snakemake.wildcards.subset,
        segmenter=SEGMENTERS.build(this.cfg["family"], this.cfg["params"]),
        execution=execution_of(
            device=snakemake.resources.device,
            threads=snakemake.threads,
            batch=snakemake.resources.batch,
            workers=snakemake.resources.workers,
            compiled=0,
        ),
        output=Path(snakemake.output.embeddings),
        provenance=this.provenance,
        shared=shared_folder(EMBEDDINGS, snakemake.resources.shared),
        model_files=[Path(path) for path in local_files(this.cfg["params"]["model"])],
    )
