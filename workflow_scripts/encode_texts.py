"""Rule encode_texts: embeddings of the sentences about normal and anomalous states of a category's object."""

from pathlib import Path

from zsad.features.execution import Execution
from zsad.features.registry import BACKBONES
from zsad.texts.encode_texts import encode_texts
from zsad.workflow.job import job

with job(snakemake) as this:
    encode_texts(
        category=snakemake.wildcards.category,
        part_name=this.cfg["part_name"],
        prompts=this.cfg["prompts"],
        trained_on=this.cfg["trained_on"],
        backbone=BACKBONES.build(this.cfg["backbone"]["family"], this.cfg["backbone"]["params"]),
        execution=Execution(snakemake.resources.device),
        output=Path(snakemake.output.texts),
        provenance=this.provenance,
    )
