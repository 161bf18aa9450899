"""Rule score_images: anomaly maps and image scores of one method."""

from pathlib import Path

from zsad.scoring.compute import compute_of
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import SCORERS
from zsad.scoring.score_images import score_images
from zsad.workflow.job import features_of, foregrounds_of, job, path_of

with job(snakemake) as this:
    score_images(
        features=features_of(snakemake.input),
        foregrounds=foregrounds_of(snakemake.input),
        model=path_of(snakemake.input, "model"),
        texts=path_of(snakemake.input, "texts"),
        trained=path_of(snakemake.input, "trained"),
        scorer=SCORERS.build(this.cfg["scorer"], this.cfg["params"]),
        image_scoring=ImageScoring(**this.cfg["image_score"]),
        compute=compute_of(
            device=snakemake.resources.device,
            memory_mb=snakemake.resources.scoring_mb,
            precision=this.cfg["precision"],
        ),
        output=Path(snakemake.output.scores),
        provenance=this.provenance,
    )
