"""Rule download_dataset: download and unpack a published data set."""

from pathlib import Path

from zsad.data.acquire import acquire_dataset
from zsad.job import job

with job(snakemake) as this:
    acquire_dataset(
        this.cfg["dataset"],
        Path(this.cfg["download_to"]),
        record=Path(snakemake.output.record),
        progress=True,
    )
