"""Rule classify_images: the defect type of each test image by one classifier."""

from pathlib import Path

from zsad.classification.classify_images import classify_images
from zsad.classification.embeddings import EmbeddingOptions
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.classification.registry import CLASSIFIERS
from zsad.workflow.job import job, path_of

with job(snakemake) as this:
    classify_images(
        split=Path(snakemake.input.split),
        features=Path(snakemake.input.features),
        support_features=path_of(snakemake.input, "support_features"),
        scores=path_of(snakemake.input, "scores"),
        support_scores=path_of(snakemake.input, "support_scores"),
        masks=path_of(snakemake.input, "masks"),
        regions=this.cfg["regions"],
        classifier=CLASSIFIERS.build(this.cfg["classifier"], this.cfg["params"]),
        embedding=EmbeddingOptions(**this.cfg["embedding"]),
        shots=this.cfg["shots"],
        probabilities=ProbabilityOptions(**this.cfg["probabilities"]),
        conformal=ConformalOptions(**this.cfg["conformal"]),
        output=Path(snakemake.output.classified),
        provenance=this.provenance,
    )
