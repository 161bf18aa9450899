"""Rule make_demo: generate a category of the demo set."""

from pathlib import Path

from zsad.data.demo import DemoOptions
from zsad.data.stage import make_demo
from zsad.job import job

with job(snakemake) as this:
    make_demo(
        snakemake.wildcards.category,
        DemoOptions(**this.cfg),
        checksums=Path(snakemake.output.checksums),
    )
