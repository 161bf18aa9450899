"""Rule check_unseen: check that a method has learned from no image of the category that it is tested on."""

from pathlib import Path

from zsad.data.check_unseen import check_unseen
from zsad.workflow.job import job

with job(snakemake) as this:
    check_unseen(
        Path(snakemake.input.image_list),
        output=Path(snakemake.output.unseen),
        provenance=this.provenance,
        auxiliary=[Path(path) for path in snakemake.input.auxiliary],
        weights=Path(this.cfg["weights"]) if this.cfg["weights"] else None,
    )
