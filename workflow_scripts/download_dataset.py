"""Rule download_dataset: download and unpack a published data set."""

from pathlib import Path

from zsad.data.download_dataset import download_dataset
from zsad.workflow.job import job

with job(snakemake) as this:
    download_dataset(
        this.cfg["dataset"],
        Path(this.cfg["download_to"]),
        record=Path(snakemake.output.record),
        progress=True,
    )
