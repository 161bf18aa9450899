"""Rule check_images: check a category's images for problems."""

from pathlib import Path

from zsad.data.catalogue import facts_of
from zsad.data.check_images import check_images
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.readings import read_unreadable
from zsad.workflow.job import job
from zsad.workflow.suitability import Suitability

with job(snakemake) as this:
    check_images(
        LAYOUTS.build(this.cfg["layout"], this.cfg["params"]),
        root=Path(this.cfg["root"]),
        category=snakemake.wildcards.category,
        output=Path(snakemake.output.check),
        provenance=this.provenance,
        left_out=read_unreadable(Path(snakemake.input.unreadable)),
        facts=facts_of(this.cfg["layout"]),
        package=this.cfg.get("package", ""),
        refusals=Suitability.from_json(snakemake.params.suitability).refusals(snakemake.wildcards.category),
    )
