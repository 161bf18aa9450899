"""Rule export_results: pictures, tables and annotations of one method's results for every test image."""

from pathlib import Path

from zsad.exporting.export_results import export_results
from zsad.workflow.job import job, path_of

with job(snakemake) as this:
    export_results(
        image_list=Path(snakemake.input.image_list),
        scores=Path(snakemake.input.scores),
        decisions=Path(snakemake.input.decisions),
        masks=path_of(snakemake.input, "masks"),
        formats=this.cfg["formats"],
        colormap=this.cfg["colormap"],
        folder=Path(snakemake.output.folder),
        title=f"{snakemake.wildcards.category} by {snakemake.wildcards.method}",
        provenance=this.provenance,
    )
