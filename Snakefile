# Zero-shot anomaly detection with vision foundation models: images in, anomaly maps, masks, tables and a page out.
from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config.yaml"


include: "rules/common.smk"


container: container_image


include: "rules/resources.smk"
include: "rules/cluster.smk"
include: "rules/data.smk"
include: "rules/features.smk"
include: "rules/segmentation.smk"
include: "rules/scoring.smk"
include: "rules/refinement.smk"
include: "rules/evaluation.smk"
include: "rules/steps.smk"
include: "rules/cost.smk"
include: "rules/report.smk"
include: "rules/partial.smk"
include: "rules/lineage.smk"


localrules:
    all,
    features,
    embeddings,
    scores,
    masks,
    tables,
    report,


rule all:
    default_target: True
    input:
        rules.masks.input,
        rules.tables.input,
        rules.report.input,
