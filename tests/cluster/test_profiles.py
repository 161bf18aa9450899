"""The profiles: what they say, what would be submitted through them, and GPUs of one machine that jobs share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import yaml
import yte

from paths import REPOSITORY, load_script
from warm import warm_python
from zsad.data.catalogue import datasets
from zsad.resources.libraries import is_built_for_gpus

if TYPE_CHECKING:
    from submissions import Submission

PROFILES = REPOSITORY / "profiles"
CLUSTERS = ("slurm", "dtu-hpc")
SUBMISSIONS = {"slurm": 45, "dtu-hpc": 135}  # of MVTec AD, as docs/clusters.md says
JOBS = 780

# Everything that may stand between two submissions: maps drawn towards masks of both kinds, fusions, and classifiers
# that read features, maps and masks of any part.
ENTANGLED = {
    "methods": {
        "mutual_guided": {"scorer": "modulation", "params": {"method": "ensemble", "refiner": "guided"}},
        "mutual_sam": {"scorer": "modulation", "params": {"method": "mutual", "refiner": "sam"}},
    },
    "supports": {"known": {"folder": "known"}},
    "classifiers": {
        "image": {"classifier": "nearest_exemplar"},
        "masked": {
            **{"classifier": "nearest_exemplar", "embedding": "region"},
            **{"method": "mutual_guided", "masks": "sam"},
        },
        "outlined": {"classifier": "nearest_exemplar", "embedding": "region", "masks": "ground_truth"},
        "beside": {
            **{"classifier": "nearest_exemplar", "support": "known"},
            **{"embedding": "both", "method": "memory_bank", "shots": 1},
        },
    },
}


def profile(name: str) -> dict[str, Any]:
    return yte.process_yaml((PROFILES / name / "profile.yaml").read_text(), require_use_yte=True)


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/submissions.py, by a Python that is warm."""
    monkeypatch.setattr(sys, "executable", warm_python())
    return load_script("benchmarks/submissions.py")


@pytest.mark.parametrize("name", ["local-gpu", *CLUSTERS])
def test_a_profile_of_a_site_has_all_that_the_default_one_has(name: str) -> None:
    """It takes the default's place, and does not add to it."""
    of_site = profile(name)
    assert {key: of_site.get(key) for key in profile("default")} == profile("default")


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_profile_of_a_cluster_avoids_what_hangs_or_loses_results(name: str) -> None:
    of_site = profile(name)
    assert of_site["keep-incomplete"] is True
    assert of_site["retries"] == 1
    assert of_site["set-resource-scopes"] == {"gpu": "local"}
    assert of_site["resources"] == {"gpu": 1}
    if name == "slurm":
        assert of_site["slurm-status-command"] == "squeue"
    else:
        assert of_site["default-resources"]["lsf_project"]
    for path in (REPOSITORY / "rules").glob("*.smk"):
        assert "retries:" not in path.read_text(), "a rule's retries stay within one allocation and its memory"


@pytest.mark.parametrize("name", CLUSTERS)
def test_what_a_site_sets_is_one_block_and_reaches_the_jobs(name: str, tmp_path: Path) -> None:
    text = (PROFILES / name / "profile.yaml").read_text()
    block = text.split("# ----")[1].split("# -----")[0]
    variables = yaml.safe_load(text.split("__variables__:")[1].split("# -----")[0])
    assert all(f"{variable}:" in block for variable in variables)
    changed = text.replace("account: null", "account: vision").replace("extra: null", 'extra: "--constraint=a100"')
    changed = changed.replace("project: default", "project: vision").replace("gpu_select: null", "gpu_select: gpu80gb")
    resources = yte.process_yaml(changed, require_use_yte=True)["default-resources"]
    if name == "slurm":
        assert resources["slurm_account"] == "vision"
        assert resources["on_gpu_slurm_extra"] == "'--constraint=a100'"
    else:
        assert resources["lsf_project"] == "vision"
        assert resources["on_gpu_lsf_extra"] == "'-gpu num=1:mode=exclusive_process -R select[gpu80gb]'"


def those_with_most_images() -> list[str]:
    """The categories of MVTec AD that ask for most; the others differ from them in their numbers of images alone."""
    counts = datasets()["mvtec_ad"].categories
    most = (lambda of: of.test, lambda of: of.train, lambda of: of.train + of.test)
    return sorted({max(counts, key=lambda name: greatest(counts[name])) for greatest in most})


def repeated(found: list[Submission], category: str, others: set[str]) -> list[Submission]:
    """The submissions of a category as other categories have them."""
    of_one = [one for one in found if one.category == category and not one.is_local]
    return [one._replace(category=other) for other in sorted(others) for one in of_one]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "categories"), [("slurm", 15), ("dtu-hpc", 2)])
def test_mvtec_ad_is_as_many_submissions_as_the_documentation_says(
    name: str, categories: int, planner: ModuleType, tmp_path: Path
) -> None:
    planner.make_empty_mvtec_ad(tmp_path / "images")
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert len(names) == 15
    chosen = those_with_most_images() if categories == len(names) else names[:categories]
    here = tmp_path / "here.yaml"
    here.write_text(yaml.safe_dump({"dataset": {"root": "images", "categories": chosen}}))
    files = [REPOSITORY / "config/mvtec_ad.yaml", here]
    found = planner.submissions(PROFILES / name, tmp_path, ["--configfile", *files])
    if categories == len(names):
        found = [*found, *repeated(found, chosen[0], set(names) - set(chosen))]
    submitted = [one for one in found if not one.is_local]
    assert sum(sum(one.rules.values()) for one in submitted) * 15 == JOBS * categories
    assert len(submitted) * 15 == SUBMISSIONS[name] * categories
    page = " ".join((REPOSITORY / "docs/clusters.md").read_text().split())
    assert f"{JOBS} jobs in {SUBMISSIONS['slurm']} submissions" in page
    assert f"they are {SUBMISSIONS['dtu-hpc']}" in page
    if categories == 15:
        table = planner.table(found)
        if is_built_for_gpus():  # the page has a table of the other build, and one figure of this one
            (with_network,) = [line for line in table if line.startswith("| `detect`")]
            assert "| 9.5 GB |" in with_network
            table = [line.replace("| 9.5 GB |", "| 7.9 GB |") for line in table]
        assert "`detect` asks for 9.5 GB" in page
        assert [line for line in table if line not in page] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", CLUSTERS)
def test_no_submission_waits_for_what_waits_for_it(
    name: str, planner: ModuleType, tmp_path: Path, write_png: Callable[..., Path]
) -> None:
    """Snakemake refuses to plan such a run; and those with a GPU are told where it is."""
    more = tmp_path / "more.yaml"
    more.write_text(yaml.safe_dump(ENTANGLED))
    for kind in ("dent", "scratch"):
        write_png(tmp_path / "known" / kind / "0.png")
    files = [REPOSITORY / "config" / f"{preset}.yaml" for preset in ("smoke", "sam", "all_methods")]
    found = planner.submissions(PROFILES / name, tmp_path, ["--configfile", *files, more])
    assert {one.category for one in found} == {"brick", "ring", ""}
    classified = [one.part for one in found if "classify_images" in one.rules]
    assert classified
    assert all(part.startswith("measure" if name == "slurm" else "classify_images") for part in classified)
    for one in found:
        queue = one.asks.get("slurm_partition") if name == "slurm" else one.asks.get("lsf_queue")
        if not one.is_local:
            wants = one.part.startswith("detect") if name == "slurm" else one.asks["gpu"] == 1
            assert (queue in ("gpu", "gpua100")) == wants, one


LEARNING = {
    "dataset": {"name": "t", "categories": ["ring", "brick"]},
    "auxiliary": {"layout": "mvtec", "name": "others", "root": "others"},
    "backbone": "embedded",
    "methods": {
        "learned": {"scorer": "prompt_memory"},
        "both": {"scorer": "fusion", "params": {"methods": ["learned", "mutual"]}},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLUSTERS)
def test_images_that_are_learned_from_are_submitted_apart_from_those_under_test(
    name: str, planner: ModuleType, tmp_path: Path, write_png: Callable[..., Path]
) -> None:
    """Though a category of theirs bears the same name."""
    more = tmp_path / "more.yaml"
    more.write_text(yaml.safe_dump(LEARNING))
    for seed, place in enumerate(("train/good", "test/good", "test/bent")):
        write_png(tmp_path / "others/ring" / place / "0.png", seed=seed)
    found = planner.submissions(PROFILES / name, tmp_path, ["--configfile", more])
    apart = [one for one in found if one.part.endswith("_auxiliary")]
    assert {one.category for one in apart} == {"ring"}
    last = "detect" if name == "slurm" else "extract_features"
    assert [one.part for one in apart] == ["prepare_auxiliary", f"{last}_auxiliary"]
    steps = {rule: count for one in apart for rule, count in one.rules.items()}
    assert steps == dict.fromkeys(("read_images", "build_manifest", "check_images", "extract_features"), 1)
    for one in found:
        if one.category == "ring" and one not in apart:
            assert one.rules.get("read_images", 0) <= 1, one


SHARING = """
rule all:
    input:
        expand("{name}.txt", name=list("abcd")),


rule use_a_gpu:
    output:
        "{name}.txt",
    log:
        "{name}.log",
    resources:
        gpu=1,
    params:
        cfg="{}",
        code="{}",
    script:
        "use_a_gpu.py"
"""
USE_A_GPU = """
import json, os, time
from pathlib import Path
from zsad.workflow.job import job

with job(snakemake):
    begin = time.time()
    time.sleep(0.7)
    Path(snakemake.output[0]).write_text(json.dumps([os.environ["CUDA_VISIBLE_DEVICES"], begin, time.time()]))
"""


@pytest.mark.slow
def test_steps_on_one_machine_take_a_gpu_each_and_no_more_than_there_are(tmp_path: Path) -> None:
    smi = tmp_path / "bin" / "nvidia-smi"  # of a machine with two
    smi.parent.mkdir()
    smi.write_text(f"#!/bin/sh\necho 0, GPU-{tmp_path.name}-0\necho 1, GPU-{tmp_path.name}-1\n")
    smi.chmod(0o755)
    (tmp_path / "Snakefile").write_text(SHARING)
    (tmp_path / "use_a_gpu.py").write_text(USE_A_GPU)
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environment |= {"PATH": f"{smi.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "snakemake", "--cores", "4", "--resources", "gpu=2"]
    done = subprocess.run(
        [*command, "--workflow-profile", PROFILES / "local-gpu"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    uses = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("?.txt"))]
    assert {gpu for gpu, _, _ in uses} == {f"GPU-{tmp_path.name}-0", f"GPU-{tmp_path.name}-1"}
    for gpu, begin, end in uses:
        others = [other for other in uses if other != [gpu, begin, end] and other[0] == gpu]
        assert all(other[2] <= begin or end <= other[1] for other in others)
