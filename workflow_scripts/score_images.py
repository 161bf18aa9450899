"""Rule score_images: anomaly maps, image scores and label-free thresholds of one method."""

from pathlib import Path

from zsad.scoring.compute import compute_of
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import SCORERS
from zsad.scoring.score_images import score_images
from zsad.scoring.thresholds.registry import THRESHOLDS
from zsad.workflow.job import job

FOREGROUND = "foreground_"  # begins the names of inputs that are masks of the part; the others are features

with job(snakemake) as this:
    inputs = {name: Path(path) for name, path in snakemake.input.items()}
    score_images(
        features={role: path for role, path in inputs.items() if not role.startswith(FOREGROUND)},
        foregrounds={
            name.removeprefix(FOREGROUND): path for name, path in inputs.items() if name.startswith(FOREGROUND)
        },
        scorer=SCORERS.build(this.cfg["scorer"], this.cfg["params"]),
        image_scoring=ImageScoring(**this.cfg["image_score"]),
        threshold_rule=THRESHOLDS.build(this.cfg["threshold"]["rule"], this.cfg["threshold"]["params"]),
        compute=compute_of(
            device=snakemake.resources.device,
            memory_mb=snakemake.resources.scoring_mb,
            precision=this.cfg["precision"],
        ),
        output=Path(snakemake.output.scores),
        provenance=this.provenance,
    )
