"""Rule build_manifest: the list of a category's images with labels and masks."""

from pathlib import Path

from zsad.data.build_manifest import build_manifest
from zsad.data.layouts.registry import LAYOUTS
from zsad.workflow.job import job

with job(snakemake) as this:
    build_manifest(
        LAYOUTS.build(this.cfg["layout"], this.cfg["params"]),
        root=Path(this.cfg["root"]),
        category=snakemake.wildcards.category,
        listed=Path(snakemake.input.image_list),
        output=Path(snakemake.output.manifest),
    )
