"""Rule score_images: anomaly maps, image scores and a label-free threshold of one method."""

from pathlib import Path

from zsad.job import job
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import SCORERS
from zsad.scoring.stage import score_images
from zsad.scoring.thresholds.registry import THRESHOLDS

with job(snakemake) as this:
    score_images(
        features={role: Path(path) for role, path in snakemake.input.items()},
        scorer=SCORERS.build(this.cfg["scorer"], this.cfg["params"]),
        image_scoring=ImageScoring(**this.cfg["image_score"]),
        threshold_rule=THRESHOLDS.build(this.cfg["threshold"]["rule"], this.cfg["threshold"]["params"]),
        device=snakemake.resources.device,
        output=Path(snakemake.output.scores),
        provenance=this.provenance,
    )
