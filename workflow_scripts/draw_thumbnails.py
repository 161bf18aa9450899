"""Rules draw_thumbnails and draw_support_thumbnails: thumbnails of test images, or of labelled examples."""

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
