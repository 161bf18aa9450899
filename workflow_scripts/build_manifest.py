"""Rule build_manifest: list a category's images."""

from pathlib import Path

from zsad.data.bounds import Bounds
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.stage import build_manifest
from zsad.job import job

with job(snakemake) as this:
    build_manifest(
        LAYOUTS.build(this.cfg["layout"], this.cfg["params"]),
        root=Path(this.cfg["root"]),
        category=snakemake.wildcards.category,
        output=Path(snakemake.output.manifest),
        unreadable=Path(snakemake.output.unreadable),
        policy=this.cfg["unreadable"],
        threads=snakemake.threads,
        bounds=Bounds.from_config(this.cfg["bounds"]),
    )
