"""Rule read_training: decode a category's training images and list them, independent of the test images."""

from pathlib import Path

from zsad.data.bounds import Bounds
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.read_images import read_training
from zsad.workflow.job import job

with job(snakemake) as this:
    read_training(
        LAYOUTS.build(this.cfg["layout"], this.cfg["params"]),
        root=Path(this.cfg["root"]),
        category=snakemake.wildcards.category,
        output=Path(snakemake.output.training_list),
        policy=this.cfg["unreadable"],
        threads=snakemake.threads,
        bounds=Bounds.from_config(this.cfg["bounds"]),
    )
