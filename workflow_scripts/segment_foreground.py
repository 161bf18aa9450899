"""Rule segment_foreground: foreground masks of a subset's images, by a promptable segmentation model."""

from pathlib import Path

from zsad.segmentation.foreground import ForegroundOptions
from zsad.segmentation.registry import SEGMENTERS
from zsad.segmentation.segment_foreground import segment_foreground
from zsad.workflow.job import job

with job(snakemake) as this:
    segment_foreground(
        image_list=Path(snakemake.input.image_list),
        embeddings=Path(snakemake.input.embeddings),
        segmenter=SEGMENTERS.build(this.cfg["segmenter"]["family"], this.cfg["segmenter"]["params"]),
        device=snakemake.resources.device,
        options=ForegroundOptions.build(this.cfg.get("options"), where="the options of the foreground"),
        output=Path(snakemake.output.masks),
        provenance=this.provenance,
    )
