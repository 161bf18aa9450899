"""Rule read_support: read the labelled examples of a support, and list them and their kinds."""

from pathlib import Path

from zsad.data.bounds import Bounds
from zsad.data.read_support import read_support
from zsad.data.support_source import SupportSource
from zsad.workflow.job import job

with job(snakemake) as this:
    read_support(
        source=SupportSource(**this.cfg["source"]),
        category=snakemake.wildcards.category,
        images=Path(snakemake.output.images),
        kinds=Path(snakemake.output.kinds),
        threads=snakemake.threads,
        bounds=Bounds.from_config(this.cfg["bounds"]),
        white=this.cfg["white"],
    )
