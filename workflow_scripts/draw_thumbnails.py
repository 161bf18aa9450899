"""Rules draw_thumbnails and draw_support_thumbnails: test images, or labelled examples, made small, for the page."""

from pathlib import Path

from zsad.reporting.draw_thumbnails import draw_thumbnails
from zsad.workflow.job import job

with job(snakemake) as this:
    draw_thumbnails(
        image_list=Path(snakemake.input.image_list),
        longer_side=this.cfg["longer_side"],
        output=Path(snakemake.output.thumbnails),
        provenance=this.provenance,
    )
