"""How many jobs of each rule a run of each configuration would have, as JSON, planned one after the other.

``planned_presets.py SNAKEFILE FILE ROOTS``: ROOTS is JSON, the folder of the images of each layout. FILE may be several
paths, joined by the separator of paths. Nothing is run, and no model must be there.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings


def planned(snakefile: Path, configfile: Path, roots: dict[str, str]) -> Counter[str]:
    content = yaml.safe_load(configfile.read_text())
    sections = [section for section in ("dataset", "auxiliary") if section in content]
    images = {section: {**roots[content[section]["layout"]]} for section in sections}
    with SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            ResourceSettings(cores=1), ConfigSettings(configfiles=[configfile], config=images), snakefile=snakefile
        )
        workflow.dag(
            DAGSettings(targets={f"results/{content['dataset']['name']}/tables/against_published.csv"})
        ).execute_workflow(executor="dryrun")
        return Counter(job.rule.name for job in workflow._workflow.dag.jobs)


if __name__ == "__main__":
    snakefile, files, roots = sys.argv[1:4]
    plans = {file: planned(Path(snakefile), Path(file), json.loads(roots)) for file in files.split(os.pathsep)}
    print(json.dumps(plans))
