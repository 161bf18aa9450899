"""Rule make_synthetic: images with synthetic anomalies, made from references for training methods."""

from pathlib import Path

from zsad.adaptation.make_synthetic import make_synthetic
from zsad.workflow.job import job

with job(snakemake):
    make_synthetic(
        training_list=Path(snakemake.input.training_list),
        category=snakemake.wildcards.category,
        subset=snakemake.wildcards.subset,
        images=Path(snakemake.output.image_list),
        manifest=Path(snakemake.output.manifest),
        origins=Path(snakemake.output.origins),
        sheet=Path(snakemake.output.sheet),
        threads=snakemake.threads,
    )
