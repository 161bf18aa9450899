"""Rule read_images: decode a category's images and list them."""

from pathlib import Path

from zsad.data.bounds import Bounds
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.read_images import read_images
from zsad.workflow.job import job

with job(snakemake) as this:
    read_images(
        LAYOUTS.build(this.cfg["layout"], this.cfg["params"]),
        root=Path(this.cfg["root"]),
        category=snakemake.wildcards.category,
        output=Path(snakemake.output.image_list),
        unreadable=Path(snakemake.output.unreadable),
        policy=this.cfg["unreadable"],
        threads=snakemake.threads,
        bounds=Bounds.from_config(this.cfg["bounds"]),
    )
