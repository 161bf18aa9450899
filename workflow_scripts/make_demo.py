"""Rule make_demo: generate a category of the demo set."""

from pathlib import Path

from zsad.data.demo.make_demo import make_demo
from zsad.data.demo.plan import DemoOptions
from zsad.workflow.job import job

with job(snakemake) as this:
    make_demo(
        snakemake.wildcards.category,
        DemoOptions(**this.cfg),
        checksums=Path(snakemake.output.checksums),
    )
