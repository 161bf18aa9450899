"""Rule draw_gallery: the highest, lowest and most wrongly scored images, with map and mask."""

from pathlib import Path

from zsad.reporting.draw_gallery import draw_gallery
from zsad.reporting.options import ReportOptions
from zsad.workflow.job import job

with job(snakemake) as this:
    draw_gallery(
        manifest=Path(snakemake.input.manifest),
        scores=Path(snakemake.input.scores),
        masks=Path(snakemake.input.masks) if snakemake.input.masks else None,
        refiner=this.cfg["refiner"],
        evaluation=Path(snakemake.input.evaluation),
        options=ReportOptions(**this.cfg["options"]),
        sheet=Path(snakemake.output.sheet),
        panels=Path(snakemake.output.panels),
    )
