"""Rule extract_features: patch and class tokens of a subset of a category's images."""

from pathlib import Path

from zsad.features.execution import execution_of
from zsad.features.extract_features import extract_features
from zsad.features.registry import BACKBONES
from zsad.sharing.root import FEATURES, shared_folder
from zsad.workflow.job import job
from zsad.workflow.suitability import Suitability

with job(snakemake) as this:
    backbone = BACKBONES.build(this.cfg["family"], this.cfg["params"])
    extract_features(
        image_list=Path(snakemake.input.image_list),
        category=snakemake.wildcards.category,
        subset=snakemake.wildcards.subset,
        view=snakemake.wildcards.view,
        backbone=backbone,
        execution=execution_of(
            device=snakemake.resources.device,
            threads=snakemake.threads,
            batch=snakemake.resources.batch,
            workers=snakemake.resources.workers,
            compiled=snakemake.resources.compiled,
        ),
        output=Path(snakemake.output.features),
        provenance=this.provenance,
        shared=shared_folder(FEATURES, snakemake.resources.shared),
        model_files=[Path(path) for path in backbone.local_files()],
        max_patches=int(snakemake.resources.max_patches),
        refusals=Suitability.from_json(snakemake.params.suitability).refusals(
            snakemake.wildcards.category, snakemake.wildcards.subset
        ),
    )
