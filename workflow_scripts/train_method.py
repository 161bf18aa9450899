"""Rule train_method: train a method on the labelled images of an auxiliary data set."""

from pathlib import Path

from zsad.scoring.compute import compute_of
from zsad.scoring.registry import SCORERS
from zsad.scoring.train_method import train_method, training_files
from zsad.workflow.job import job

with job(snakemake) as this:
    train_method(
        categories=training_files(this.cfg["categories"], snakemake.input.items()),
        scorer=SCORERS.build(this.cfg["scorer"], this.cfg["params"]),
        compute=compute_of(
            device=snakemake.resources.device,
            memory_mb=snakemake.resources.scoring_mb,
            precision=this.cfg["precision"],
        ),
        output=Path(snakemake.output.trained),
        trained_on=this.cfg["trained_on"],
    )
