"""Rule segment_foreground: the part in every image of a subset, outlined by a promptable segmentation model."""

from pathlib import Path

from zsad.job import job
from zsad.segmentation.foreground import ForegroundOptions
from zsad.segmentation.foreground_stage import segment_foreground
from zsad.segmentation.registry import SEGMENTERS

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
