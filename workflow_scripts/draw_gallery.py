"""Rule draw_gallery: the images with the highest, lowest and most wrong scores; maps and outlines of all images."""

from pathlib import Path

from zsad.reporting.draw_gallery import draw_gallery
from zsad.reporting.draw_layers import draw_layers
from zsad.reporting.options import ReportOptions
from zsad.workflow.job import job

with job(snakemake) as this:
    results = {
        "manifest": Path(snakemake.input.manifest),
        "scores": Path(snakemake.input.scores),
        "decisions": Path(snakemake.input.decisions),
        "masks": Path(snakemake.input.masks) if snakemake.input.masks else None,
        "refiner": this.cfg["refiner"],
        "evaluation": Path(snakemake.input.evaluation),
    }
    options = ReportOptions(**this.cfg["options"])
    draw_gallery(
        **results,
        options=options,
        sheet=Path(snakemake.output.sheet),
        panels=Path(snakemake.output.panels),
    )
    draw_layers(
        **results,
        colormap=options.colormap,
        output=Path(snakemake.output.layers),
        provenance=this.provenance,
    )
