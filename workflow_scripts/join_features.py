"""Rule join_features: the concatenated features of several backbones."""

from pathlib import Path

from zsad.features.join_features import join_features
from zsad.features.registry import BACKBONES
from zsad.workflow.job import job

with job(snakemake) as this:
    join_features(
        features=[Path(path) for path in snakemake.input.features],
        joint=BACKBONES.build(this.cfg["family"], this.cfg["params"]),
        output=Path(snakemake.output.features),
        provenance=this.provenance,
    )
