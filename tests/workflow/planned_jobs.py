"""The jobs of a run that is only planned, as JSON: ``planned_jobs.py SNAKEFILE CONFIGFILE`` in a working directory.

Of each job the rule, the inputs that no rule makes, and the stamp, None for a rule without one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings


def planned_jobs(snakefile: Path, configfile: Path) -> list[dict[str, Any]]:
    with SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            ResourceSettings(cores=1), ConfigSettings(configfiles=[configfile]), snakefile=snakefile
        )
        workflow.dag().execute_workflow(executor="dryrun")
        return [
            {
                "rule": job.rule.name,
                "files": [path for path in job.input if not path.startswith("results/")],
                "stamp": job.params.get("stamp"),
            }
            for job in workflow._workflow.dag.jobs
        ]


if __name__ == "__main__":
    print(json.dumps(planned_jobs(*map(Path, sys.argv[1:3]))))
