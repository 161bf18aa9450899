"""Rule fit_method: one method's model of its references, and the score of each reference by a fit to the others."""

from pathlib import Path

from zsad.scoring.compute import compute_of
from zsad.scoring.fit_method import fit_method, synthetic_files
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import SCORERS
from zsad.workflow.job import foregrounds_of, job, path_of

with job(snakemake) as this:
    fit_method(
        references=Path(snakemake.input.references),
        foregrounds=foregrounds_of(snakemake.input),
        texts=path_of(snakemake.input, "texts"),
        synthetic=synthetic_files(snakemake.input),
        trained=path_of(snakemake.input, "trained"),
        dataset=snakemake.wildcards.dataset,
        category=snakemake.wildcards.category,
        method=snakemake.wildcards.method,
        scorer=SCORERS.build(this.cfg["scorer"], this.cfg["params"]),
        image_scoring=ImageScoring(**this.cfg["image_score"]),
        compute=compute_of(
            device=snakemake.resources.device,
            memory_mb=snakemake.resources.scoring_mb,
            precision=this.cfg["precision"],
        ),
        output=Path(snakemake.output.model),
        provenance=this.provenance,
        backbone=this.cfg["backbone"],
        segmenter=this.cfg.get("segmenter"),
        segmentation=this.cfg.get("foreground"),
    )
