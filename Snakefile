# Zero-shot anomaly detection with vision foundation models: images in, anomaly maps, masks, tables and a page out.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")

# Not `workflow.basedir`, which is the folder of the workflow that uses this one as a module.
ROOT = Path(str(workflow.current_basedir))

if not (ROOT / "zsad").is_dir():
    raise WorkflowError(
        f"this workflow cannot be used from {ROOT}, because its jobs need the library beside it; clone the repository "
        "and use the path of its Snakefile"
    )

sys.path.insert(0, str(ROOT))

from zsad.workflow.snakemake_api import check_version, module_name

check_version()

MODULE = module_name(workflow)  # empty if this is the workflow itself


# A module gets its section of another workflow's configuration, not the configuration of this folder.
if not MODULE:

    configfile: f"{ROOT}/config.yaml"


include: "rules/common.smk"


container: container_image


include: "rules/resources.smk"
include: "rules/cluster.smk"
include: "rules/data.smk"
include: "rules/unseen.smk"
include: "rules/features.smk"
include: "rules/texts.smk"
include: "rules/training.smk"
include: "rules/segmentation.smk"
include: "rules/scoring.smk"
include: "rules/decisions.smk"
include: "rules/refinement.smk"
include: "rules/classification.smk"
include: "rules/evaluation.smk"
include: "rules/cost.smk"
include: "rules/report.smk"
include: "rules/exports.smk"


rule all:
    default_target: not MODULE
    input:
        rules.masks.input,
        rules.tables.input,
        rules.classes.input,
        rules.report.input,
    localrule: True


include: "rules/partial.smk"
include: "rules/lineage.smk"


if MODULE:

    include: "rules/host.smk"
