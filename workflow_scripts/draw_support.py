"""Rule draw_support: sample the images that a classifier learns from, is calibrated on, and classifies."""

from pathlib import Path

from zsad.classification.draw_support import draw_support
from zsad.classification.draws import DrawOptions
from zsad.workflow.job import job, path_of

with job(snakemake) as this:
    draw_support(
        manifest=path_of(snakemake.input, "manifest"),
        images=Path(snakemake.input.images),
        labelled=path_of(snakemake.input, "labelled"),
        kinds=path_of(snakemake.input, "kinds"),
        source=this.cfg["source"],
        options=DrawOptions(**this.cfg["options"]),
        category=snakemake.wildcards.category,
        output=Path(snakemake.output.split),
    )
