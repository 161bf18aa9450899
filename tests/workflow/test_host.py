"""Other workflows that use this one as a module: whole or in part, once or several times, with results elsewhere.

One process plans them all, one after the other, as each start of Snakemake costs seconds.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

from paths import REPOSITORY

TINY = {
    "dataset": {"name": "t", "categories": ["ring"], "demo": {"size": 64, "train": 4, "good": 3, "defective": 4}},
    "backbone": "embedded",
    "methods": {"mutual": {"scorer": "mutual"}},
    "refiners": {"guided": {"refiner": "guided"}},
}
OTHER = {**TINY, "dataset": {**TINY["dataset"], "categories": ["ring", "grass"]}}
SORTING = {
    **OTHER,
    "supports": {"known": {"folder": "known"}},
    "classifiers": {"kinds": {"classifier": "nearest_exemplar", "support": "known", "shots": [1]}},
}
KINDS = ("dent", "scratch")
COMPARED = ("cfg", "code", "lineage", "stamp", "listing")  # the parameters for which a result is made anew

MODULE = """
module {name}:
    snakefile: "SNAKEFILE"
    config: {config}
    {more}

use rule {rules}
"""


def module(name: str, config: str, rules: str = "", more: str = "") -> str:
    return MODULE.format(name=name, config=config, more=more, rules=rules or f"* from {name} as {name}_*")


# Names of rules, wildcards and targets of a host that are names of this workflow, too.
BUSY = (
    """
configfile: "config.yaml"

rule all:
    input:
        expand("copies/{subset}.txt", subset=["of the host", "another"]),
        rules_of_modules,

rule report:
    output: "copies/{subset}.txt"
    shell: "echo {wildcards.subset} > {output}"

def rules_of_modules(wildcards):
    return ["results/t/report.html", "moved/results/t/report.html", "deep/inner/results/t/tables/cost.csv"]
"""
    + module("zsad", 'config["zsad"]')
    + module("other", 'config["other"]', more='prefix: "moved"')
    + """
use rule score_images from other as other_score_images with:
    threads: 1

module middle:
    snakefile: "middle.smk"
    prefix: "deep"

use rule * from middle as middle_*
"""
).replace("        rules_of_modules,", "        lambda wildcards: rules_of_modules(wildcards),")

ALONE = (
    """
rule all:
    input: "results/t/ring/scores/mutual.h5"

rule features_of_mine:
    output: "results/{dataset}/{category}/features/embedded/test.original.h5"
    shell: "touch {output}"
"""
    + module("zsad", str(TINY), "score_images from zsad as score")
    + module("again", str({**TINY, "dataset": {**TINY["dataset"], "name": "u"}}), "prompt_masks from again as prompt")
)

REFUSED = {
    "a wrong key": (
        module("zsad", "{'methodes': {}}"),
        "module 'zsad': .*unknown key 'methodes'; did you mean 'methods'",
    ),
    "a wrong value": (module("zsad", "{'device': 'gpu'}"), "module 'zsad': .*device.*gpu"),
    "no section": (module("zsad", "'mine.yaml'"), "module 'zsad': its configuration is not a section .*'mine.yaml'"),
    "the same results": (
        module("zsad", str(TINY)) + module("twin", str(TINY)),
        "module 'twin': its results go to results/t, as do those of the module 'zsad'; give one of them another",
    ),
    "two shared folders": (
        module("zsad", str({**TINY, "sharing": {"root": "."}}))
        + module("other", str({**OTHER, "sharing": {"root": "shared"}}), more="prefix: 'x'"),
        "module 'other': sharing.root is .* for the module 'zsad', and .*/shared for this one",
    ),
}
MISTAKEN = (  # the host, and not this workflow
    "def fail(wildcards):\n    return {}['of the host']\n\nrule all:\n    input: fail\n" + module("zsad", str(TINY))
)


def write_host(folder: Path, snakefile: str, **config: Any) -> None:
    folder.mkdir()
    (folder / "Snakefile").write_text(dedent(snakefile).replace("SNAKEFILE", str(REPOSITORY / "Snakefile")))
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each host plans: by its name the jobs, or the error, and what is told of it."""
    root = tmp_path_factory.mktemp("hosts")
    write_host(root / "busy", BUSY, zsad=TINY, other=SORTING)
    (root / "busy/middle.smk").write_text(
        module("zsad", str(TINY), more="prefix: 'inner'").replace("SNAKEFILE", str(REPOSITORY / "Snakefile"))
    )
    for kind in KINDS:
        _write_photograph(root / "busy/known" / kind / "0.png", number=len(kind))
    write_host(root / "alone", ALONE)
    for name, (snakefile, _) in REFUSED.items():
        write_host(root / name, snakefile)
    (root / "two shared folders/shared").mkdir()
    write_host(root / "mistaken", MISTAKEN)
    _write_readme(root / "readme")
    (root / "workflow").mkdir()  # by itself, and last: it tells of all errors of its process in sentences
    (root / "workflow/config.yaml").write_text(yaml.safe_dump({**TINY, **dict(_switched_off())}))
    done = subprocess.run(
        [sys.executable, __file__, str(root)],
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'tests'}", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _switched_off() -> dict[str, Any]:
    """What a file must say of default entries that are not wanted, where it is merged into the default."""
    default = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    return {section: {**dict.fromkeys(default[section]), **TINY[section]} for section in ("methods", "refiners")}


def _write_readme(folder: Path) -> None:
    """The host of docs/another_workflow.md, with photographs."""
    text = (REPOSITORY / "docs/another_workflow.md").read_text()
    snakefile, config = (
        re.search(rf"^```{kind}\n(.*?)^```$", text, re.S | re.M) for kind in ("snakemake", "yaml\n# host.yaml")
    )
    assert snakefile
    assert config
    write_host(folder, snakefile[1].replace("path/to/zsad/Snakefile", "SNAKEFILE"))
    (folder / "host.yaml").write_text(config[1])
    for number in range(3):
        _write_photograph(folder / f"photographs/{number}.png", number)


def _write_photograph(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((48, 64, 3), number, np.uint8)).save(path)


def rules_of(host: dict[str, Any]) -> set[str]:
    return {job["rule"] for job in host["jobs"]}


@pytest.mark.slow
def test_the_host_of_the_documentation_is_planned(hosts: dict[str, Any]) -> None:
    readme = hosts["readme"]
    assert {"all", "worst", "zsad_score_images", "zsad_collect_tables"} <= rules_of(readme)
    assert readme["default_target"] == "all"
    read = {path for job in readme["jobs"] for path in job["input"] if path.startswith("photographs")}
    assert read == {f"photographs/{number}.png" for number in range(3)}, "no prefix moves a user's files"
    made = {path for job in readme["jobs"] for path in job["output"]} - {"worst.txt"}
    assert made
    assert all(path.startswith("anomalies/results/folder/") for path in made)
    scored = [job for job in readme["jobs"] if "score_images" in job["rule"]]
    assert [job["cfg"]["scorer"] for job in scored] == ["mutual"], "of entries that are stated, no others are added"


@pytest.mark.slow
def test_modules_beside_each_other_and_nested_change_nothing_of_the_host(hosts: dict[str, Any]) -> None:
    busy = hosts["busy"]
    assert busy["default_target"] == "all"
    assert "report" not in busy["local"], "a rule of the host that is called as a target is"
    assert {"copies/of the host.txt", "copies/another.txt"} <= {path for job in busy["jobs"] for path in job["output"]}
    for module, folder in {
        "zsad": "results/t",
        "other": "moved/results/t",
        "middle_zsad": "deep/inner/results/t",
    }.items():
        of_module = [job for job in busy["jobs"] if job["rule"].startswith(f"{module}_")]
        written = {path for job in of_module for path in [*job["output"], *job["log"]]}
        assert {"images.csv", "cost.csv"} <= {Path(path).name for path in written}
        assert all(path.startswith((f"{folder}/", f"{folder.removesuffix('/t')}/data/t/")) for path in written)
    groups = {job["group"] for job in busy["jobs"] if job["rule"].endswith("read_images")}
    assert groups == {"zsad-prepare-ring", "other-prepare-ring", "other-prepare-grass", "middle.zsad-prepare-ring"}


@pytest.mark.slow
def test_a_module_reads_labelled_examples_where_they_lie_and_writes_what_follows_to_its_results(
    hosts: dict[str, Any],
) -> None:
    jobs = [job for job in hosts["busy"]["jobs"] if job["rule"] == "other_read_support"]
    read = {path for job in jobs for path in job["input"]}
    assert read == {f"known/{kind}/0.png" for kind in KINDS}
    classified = {path for job in hosts["busy"]["jobs"] for path in job["output"] if "/classification/" in path}
    assert classified == {
        f"moved/results/t/{category}/{path}"
        for category in ("ring", "grass")
        for path in ("classification/kinds.h5", "metrics/classification/kinds.json")
    }


@pytest.mark.slow
def test_without_classifiers_nothing_of_theirs_is_planned(hosts: dict[str, Any]) -> None:
    source = (REPOSITORY / "rules/classification.smk").read_text(encoding="utf-8")
    ours = {*re.findall(r"^rule (\w+):", source, re.M), "draw_confusion", "draw_shots", "draw_support_thumbnails"}
    assert {
        f"other_{rule}" for rule in ours - {"classes", "collect_classes", "score_support", "outline_truth"}
    } <= rules_of(hosts["busy"])
    assert not ours & rules_of(hosts["workflow"])
    read = {path for job in hosts["workflow"]["jobs"] for path in [*job["input"], *job["output"]]}
    assert not [path for path in read if "classification" in path or "labelled" in path or "splits" in path]


@pytest.mark.slow
def test_a_module_depends_on_what_the_workflow_itself_does(hosts: dict[str, Any]) -> None:
    """So that results of the one are current for the other."""

    def compared(host: str, prefix: str) -> dict[str, Any]:
        return {
            " ".join(job["output"]): job["compared"]
            for job in hosts[host]["jobs"]
            if job["compared"] and job["rule"].startswith(prefix)
        }

    itself = compared("workflow", "")
    assert itself
    assert itself == compared("busy", "zsad_")
    assert all("stage" not in parameters for parameters in itself.values())
    stages = {job["rule"]: job["stage"] for job in hosts["busy"]["jobs"] if job["rule"].startswith("zsad_")}
    assert stages["zsad_score_images"] == "score_images"


@pytest.mark.slow
def test_a_host_may_use_one_rule_alone(hosts: dict[str, Any]) -> None:
    assert rules_of(hosts["alone"]) == {"all", "features_of_mine", "score"}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_one_sentence_that_names_the_module(mistake: str, hosts: dict[str, Any]) -> None:
    told = hosts[mistake]["told"]
    assert re.search(f"^zsad: {REFUSED[mistake][1]}.*$", told, re.M), told
    assert "Traceback" not in told
    assert "WorkflowError" not in told


@pytest.mark.slow
def test_a_mistake_of_the_host_is_not_told_as_one_of_this_workflow(hosts: dict[str, Any]) -> None:
    told = hosts["mistaken"]["told"]
    assert "KeyError: 'of the host'" in told
    assert "Snakefile" in told
    assert "zsad:" not in told


def _planned(folder: Path) -> dict[str, Any]:
    """The jobs of a host that are planned in its folder, or how the error is told."""
    snakefile = folder / "Snakefile" if (folder / "Snakefile").exists() else REPOSITORY / "Snakefile"
    configs = [] if (folder / "Snakefile").exists() else [folder / "config.yaml"]
    os.chdir(folder)
    told = io.StringIO()
    with redirect_stderr(told), SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api:
        try:
            workflow = api.workflow(ResourceSettings(cores=1), ConfigSettings(configfiles=configs), snakefile=snakefile)
            workflow.dag().execute_workflow(executor="dryrun")
        except Exception as error:
            api.print_exception(error)
            return {"told": told.getvalue()}
        return {
            "jobs": [_described(job) for job in workflow._workflow.dag.jobs],
            "default_target": workflow._workflow.default_target,
            "local": sorted(workflow._workflow._localrules),
        }


def _described(job: Any) -> dict[str, Any]:
    return {
        "rule": job.rule.name,
        "input": list(job.input),
        "output": list(job.output),
        "log": list(job.log),
        "group": job.group,
        "cfg": json.loads(job.params.get("cfg") or "{}"),
        "stage": job.params.get("stage"),
        "compared": {name: job.params.get(name) for name in COMPARED if job.params.get(name) is not None},
    }


if __name__ == "__main__":
    print(json.dumps({folder.name: _planned(folder) for folder in sorted(Path(sys.argv[1]).iterdir())}))
