"""The workflow through a real SLURM, and through the LSF plugin against an emulation, beside a run on this machine."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import pytest

import lsf_emulation
import slurm
from harness import SMALL, Project, merged
from paths import load_script
from warm import warm_python
from zsad.files.features import FeatureReader

if TYPE_CHECKING:
    from submissions import Submission

# Machines differ.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
PATIENCE = 500  # seconds for a run that should have ended long before

CATEGORY = "ring"
CATEGORIES = ("brick", CATEGORY)
CORES = 8  # of a submission, by the profiles
QUICKLY = ("--latency-wait", "10", "--seconds-between-status-checks", "1")
SLURM_QUICKLY = (*QUICKLY, "--slurm-init-seconds-before-status-checks", "3")
STEP_ENDS_SECONDS = 3.0  # after its output is there; until then Snakemake takes that for incomplete
WITH_GPU = ("extract_features", "fit_method", "score_images")  # submissions of the profile of LSF
LSF_QUEUES = {"hpc": 4320, "gpua100": 1440}  # and the longest walltime, minutes


class OnSlurm(NamedTuple):
    """What went through SLURM.

    Attributes:
        plan: what a dry run said that would be submitted.
        first, second: exit status and output of a run whose jobs were cancelled, and of the next.
        cancelled: numbers of the jobs.
        broken: results between the runs that are not whole.
        between: results that were there between the runs, with their times of modification.
        jobs, finished: SLURM's own records.
    """

    project: Project
    plan: list[Submission]
    first: tuple[int, str]
    second: tuple[int, str]
    cancelled: list[str]
    broken: list[str]
    between: dict[Path, int]
    jobs: list[dict[str, str]]
    finished: list[dict[str, str]]


class OnLsf(NamedTuple):
    """What went through the emulation of LSF: what bsub was asked for, and the number of the job that was killed."""

    project: Project
    plan: list[Submission]
    run: tuple[int, str]
    submitted: list[dict[str, Any]]
    killed: int


class Runs(NamedTuple):
    """The same workflow on this machine and on clusters; on SLURM, or why not."""

    local: Project
    on_slurm: OnSlurm | str
    on_lsf: OnLsf


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DINOv3 of random weights, saved as the hub's checkpoints are."""
    import torch
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-dinov3"
    DINOv3ViTModel(DINOv3ViTConfig(**sizes, num_register_tokens=4)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def config(checkpoint: Path) -> dict[str, Any]:
    """Two categories; one method with a network, one without."""
    methods = dict.fromkeys(("mirror_symmetry", "flip_consistency", "mutual"))  # not these
    return merged(
        SMALL,
        dataset__categories=list(CATEGORIES),
        methods={
            **methods,
            "self_similarity": {"backbone": str(checkpoint)},
            "memory_bank": {"params": {"shots": 2}},
        },
    )


@pytest.fixture(scope="module")
def runs(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """All of them side by side, as a run on a cluster mostly waits."""

    def project(name: str) -> Project:
        return Project.copy_of_repository(tmp_path_factory.mktemp("clusters") / name)

    local, slurm_project, lsf_project = map(project, ("local", "slurm", "lsf"))
    of_one = merged(config, dataset__categories=[CATEGORY])
    plans = planned(slurm_project, config, "slurm"), planned(lsf_project, of_one, "dtu-hpc")
    with ThreadPoolExecutor() as pool:
        on_slurm = pool.submit(through_slurm, slurm_project, config, plans[0], tmp_path_factory.mktemp("slurm"))
        on_lsf = pool.submit(through_lsf, lsf_project, of_one, plans[1], tmp_path_factory.mktemp("lsf"))
        run = local.run(config)
        assert run.status == 0, run.output
        return Runs(local, on_slurm.result(), on_lsf.result())


def through_slurm(project: Project, config: dict[str, Any], plan: list[Submission], folder: Path) -> OnSlurm | str:
    """Run, and cancel both jobs of `detect`; run again, and have the node die in the middle of `measure`.

    The processes of the first run are started as users start them, so that SLURM itself ends them.
    """
    arguments = ("--workflow-profile", "profiles/slurm", *SLURM_QUICKLY)
    try:
        with slurm.running(folder) as cluster:
            first = started(project.command(config, *arguments, "--retries", "0"), project)
            cancelled = [job["JobId"] for job in awaited(lambda: extracting(cluster, project), first)]
            cluster.cancel(*cancelled)
            output, _ = first.communicate(timeout=PATIENCE)
            broken = project.broken_results()
            between = {path: path.stat().st_mtime_ns for path in project.result("t").rglob("*.*") if path.is_file()}
            second = started(project.command(config, *arguments, python=warm_python()), project)
            awaited(lambda: measuring(cluster, project), second)
            cluster.lose_the_node()
            rest, _ = second.communicate(timeout=PATIENCE)
            return OnSlurm(
                project,
                plan,
                (first.returncode, output),
                (second.returncode, rest),
                cancelled,
                broken,
                between,
                cluster.jobs(),
                cluster.finished(),
            )
    except slurm.UnavailableError as reason:
        return str(reason)
    finally:
        end_processes_of(project)


def end_processes_of(project: Project) -> None:
    """End what the pretended loss of a node, unlike a real one, lets live."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(project.folder) in argument for argument in process.info["cmdline"] or ()):
            process.kill()


def extracting(cluster: slurm.Slurm, project: Project) -> list[dict[str, str]]:
    """The jobs of `detect`, once both are there, one runs, and the step of the first features has ended."""
    jobs = [job for job in cluster.jobs() if "_detect-" in job["Comment"]]
    features = project.result("t").glob("*/features/*/*.h5")
    ended = [path for path in features if time.time() - path.stat().st_mtime > STEP_ENDS_SECONDS]
    begun = running(cluster, "detect") and ended
    return jobs if begun and len(jobs) == len(CATEGORIES) else []


def measuring(cluster: slurm.Slurm, project: Project) -> list[dict[str, str]]:
    """The running jobs of `measure`, once their first masks are there."""
    return running(cluster, "measure") if [*project.result("t").glob("*/masks/*.h5")] else []


def running(cluster: slurm.Slurm, part: str) -> list[dict[str, str]]:
    return [job for job in cluster.jobs() if f"_{part}-" in job["Comment"] and job["JobState"] == "RUNNING"]


def through_lsf(project: Project, config: dict[str, Any], plan: list[Submission], folder: Path) -> OnLsf:
    """Run, and kill the first job with a GPU; the run sends it once more by itself."""
    environment = lsf_emulation.install(folder / "lsf", LSF_QUEUES)
    command = project.command(config, "--workflow-profile", "profiles/dtu-hpc", *QUICKLY, python=warm_python())
    run = started(command, project, environment)

    def running_with_a_gpu() -> list[dict[str, Any]]:
        with_gpu = [job for job in lsf_emulation.submissions(environment) if job["gpu"]]
        return [job for job in with_gpu if lsf_emulation.status(environment, job["id"]) == "RUN"]

    victim = awaited(running_with_a_gpu, run)[0]
    subprocess.run(["bkill", str(victim["id"])], env=environment, check=True, capture_output=True)
    output, _ = run.communicate(timeout=PATIENCE)
    return OnLsf(project, plan, (run.returncode, output), lsf_emulation.submissions(environment), victim["id"])


def planned(project: Project, config: dict[str, Any], profile: str) -> list[Submission]:
    """What benchmarks/submissions.py says of a run, from a dry run."""
    project.command(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", warm_python())
        return load_script("benchmarks/submissions.py").submissions(
            project.folder / "profiles" / profile, project.folder, ["--configfile", project.folder / "override.yaml"]
        )


def awaited(found: Callable[[], list[Any]], run: subprocess.Popen[str]) -> list[Any]:
    """What is found as soon as anything is."""
    deadline = time.monotonic() + PATIENCE
    while not (all_found := found()):
        if run.poll() is not None or time.monotonic() > deadline:
            run.kill()
            pytest.fail("the run ended too early:\n" + run.communicate()[0])
        time.sleep(0.3)
    return all_found


def started(command: list[str], project: Project, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=project.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def on_slurm(runs: Runs) -> OnSlurm:
    if isinstance(runs.on_slurm, str):
        pytest.skip(f"no SLURM: {runs.on_slurm}")
    return runs.on_slurm


def metrics(project: Project) -> str:
    return project.result("t/tables/metrics.csv").read_text()


def of_category(project: Project) -> list[str]:
    """The rows of the category that went through LSF, which was spared the others."""
    return [row for row in metrics(project).splitlines() if f",{CATEGORY}," in row]


def part_and_category(job: dict[str, str]) -> tuple[str, str]:
    """Which submission a job of SLURM's is, from its comment."""
    part, category = re.match(r"rule_(\w+)-([^_]+)_", job["Comment"]).groups()
    return part, category


def megabytes(text: str) -> int:
    """Memory as SLURM writes it, MB."""
    return round(float(text[:-1]) * {"M": 1, "G": 1024}[text[-1]])


def minutes(text: str) -> int:
    """A time limit as SLURM writes it."""
    days, _, clock = text.rpartition("-")
    hours, minutes, _ = map(int, clock.split(":"))
    return 1440 * int(days or 0) + 60 * hours + minutes


def assert_fits(asked: dict[str, float], one: Submission) -> None:
    """What was asked for is what the steps need, side by side as far as cores and GPU go, else one after the other.

    Which of them stand side by side, where they differ, is up to Snakemake.
    """
    assert asked["_cores"] <= CORES
    memory, time = ([step[name] for step in one.steps] for name in ("mem_mb", "runtime"))
    at_once = asked["_cores"] // min(step["_cores"] for step in one.steps)
    assert max(memory) <= asked["mem_mb"] <= sum(sorted(memory)[-at_once:])
    assert max(time) <= asked["runtime"] <= sum(time)
    if at_once == 1:
        assert (asked["mem_mb"], asked["runtime"]) == (max(memory), sum(time))
    elif len({(step["rule"], step["mem_mb"], step["runtime"], step["_cores"], step["gpu"]) for step in one.steps}) == 1:
        width = 1 if one.steps[0]["gpu"] else min(at_once, len(memory))
        assert asked["mem_mb"] == width * memory[0]
        assert asked["runtime"] == math.ceil(len(time) / width) * time[0]


# ---- SLURM ----


def test_cancelled_jobs_end_a_run_and_leave_nothing_half_written(on_slurm: OnSlurm) -> None:
    status, output = on_slurm.first
    assert status != 0, output
    assert on_slurm.broken == []
    names = {path.relative_to(on_slurm.project.result("t")).as_posix() for path in on_slurm.between}
    assert {f"{category}/manifest.csv" for category in CATEGORIES} <= names
    assert "tables/metrics.csv" not in names
    states = {job["JobId"]: job["JobState"] for job in on_slurm.finished}
    assert {states[number] for number in on_slurm.cancelled} == {"CANCELLED"}
    assert set(states.values()) == {"CANCELLED", "COMPLETED"}


def test_the_next_run_does_the_rest_without_being_asked_for_more(on_slurm: OnSlurm, runs: Runs) -> None:
    status, output = on_slurm.second
    assert status == 0, output
    assert metrics(on_slurm.project) == metrics(runs.local)


def test_what_a_cancelled_submission_had_finished_is_kept(on_slurm: OnSlurm) -> None:
    kept = [path for path in on_slurm.between if path.suffix in (".csv", ".h5")]
    assert any("features" in path.parts for path in kept)
    assert [path for path in kept if path.stat().st_mtime_ns != on_slurm.between[path]] == []


def test_jobs_of_a_node_that_dies_are_queued_again(on_slurm: OnSlurm) -> None:
    lost = [job for job in on_slurm.jobs if job["Restarts"] != "0"]
    assert "measure" in {part_and_category(job)[0] for job in lost}
    assert {(job["JobState"], job["Restarts"]) for job in lost} == {("COMPLETED", "1")}


def test_each_submission_asked_slurm_for_what_its_steps_need(on_slurm: OnSlurm) -> None:
    wanted = {(one.part, one.category): one for one in on_slurm.plan if not one.is_local}
    assert {part_and_category(job) for job in on_slurm.jobs} == set(wanted)
    for job in on_slurm.jobs:
        one = wanted[part_and_category(job)]
        if job["JobId"] in on_slurm.cancelled or one.part != "detect":  # the next run asked for the rest of `detect`
            asked = {
                "_cores": int(job["CPUs/Task"]),
                "mem_mb": megabytes(job["MinMemoryNode"]),
                "runtime": minutes(job["TimeLimit"]),
            }
            assert_fits(asked, one)
        assert job["Partition"] == ("gpu" if one.part == "detect" else "main")
        assert job.get("TresPerJob", "") == ("gres:gpu:1" if one.part == "detect" else "")


def test_a_submission_asks_for_what_its_steps_take_side_by_side_or_in_turn(on_slurm: OnSlurm) -> None:
    """Each rule's own request, and what becomes of them together: those with the GPU take turns."""
    (detect,) = [one for one in on_slurm.plan if (one.part, one.category) == ("detect", "ring")]
    steps = {rule: [step for step in detect.steps if step["rule"] == rule] for rule in detect.rules}
    assert {rule: len(of_rule) for rule, of_rule in steps.items()} == {
        "extract_features": 3,
        "fit_method": 1,
        "score_images": 2,
        "decide_images": 2,
    }
    assert sorted(step["gpu"] for step in steps["extract_features"]) == [0, 0, 1]
    assert {step["gpu"] for rule in ("fit_method", "score_images") for step in steps[rule]} == {1}
    assert detect.asks["gpu"] == 1
    assert detect.asks["mem_mb"] >= max(step["mem_mb"] for step in detect.steps)
    with_gpu = [step["runtime"] for step in detect.steps if step["gpu"]]
    assert sum(with_gpu) <= detect.asks["runtime"] <= sum(step["runtime"] for step in detect.steps)
    (prepare,) = [one for one in on_slurm.plan if (one.part, one.category) == ("prepare", "ring")]
    reading = [step for step in prepare.steps if step["rule"].startswith("read_")]  # both lists, side by side
    in_turn = [step["runtime"] for step in prepare.steps if step not in reading]
    assert len(reading) == 2
    assert prepare.asks["runtime"] == sum(in_turn) + max(step["runtime"] for step in reading)
    assert prepare.asks["mem_mb"] == max(
        *(step["mem_mb"] for step in prepare.steps), sum(step["mem_mb"] for step in reading)
    )
    assert prepare.asks["gpu"] == 0


def test_slurm_keeps_to_one_job_a_gpu_and_knows_none_but_ours(on_slurm: OnSlurm) -> None:
    ran = [job for job in on_slurm.jobs if "_detect-" in job["Comment"] and job["JobState"] == "COMPLETED"]
    assert len(ran) == len(CATEGORIES)
    (_, first_end), (second_start, _) = sorted((job["StartTime"], job["EndTime"]) for job in ran)
    assert first_end <= second_start
    assert all(job["Partition"] == "gpu" for job in ran)


def test_only_light_steps_ran_on_the_submitting_host(on_slurm: OnSlurm) -> None:
    local = Counter(rule for one in on_slurm.plan if one.is_local for rule in one.rules)
    assert set(local) == {"collect_tables", "collect_costs", "draw_summary", "build_page"}


# ---- LSF ----


def test_the_workflow_through_the_lsf_plugin_gives_what_this_machine_gives(runs: Runs) -> None:
    status, output = runs.on_lsf.run
    assert status == 0, output
    assert of_category(runs.on_lsf.project) == of_category(runs.local) != []


def test_each_line_of_bsub_asks_for_queue_project_cores_memory_walltime_and_gpu(runs: Runs) -> None:
    on_lsf = runs.on_lsf
    wanted = {(one.part, one.category): one for one in on_lsf.plan if not one.is_local}
    seen = Counter()
    for job in on_lsf.submitted:
        part, category = re.match(r"Snakemake_group_(\w+)-(\w+?):", job["name"]).groups()
        one = wanted[part, category]
        seen[part, category] += 1
        queue, gpu = ("gpua100", " -gpu num=1:mode=exclusive_process") if part in WITH_GPU else ("hpc", "")
        line = re.fullmatch(
            rf"bsub -J .* -env all -P default -q {queue} -W (\d+) -n (\d+) -R 'rusage\[mem=([\d.]+)\]' "
            rf"-R 'span\[hosts=1\]'{gpu} -cwd {on_lsf.project.folder}",
            job["line"],
        )
        assert line, job["line"]
        walltime, cores, memory_a_core = map(float, line.groups())
        attempt = seen[part, category]
        assert_fits(
            {"_cores": int(cores), "mem_mb": round(cores * memory_a_core) // attempt, "runtime": walltime // attempt},
            one,
        )
    assert set(seen) == set(wanted)
    assert {part for part, _ in seen} == {
        *("prepare", "read_training", "extract_features", "fit_method", "score_images", "refine_masks"),
        *("evaluate_scores", "evaluate_masks", "draw"),
    }
    assert [part for (part, _), count in seen.items() if count > 1] == ["extract_features"]


def test_a_killed_submission_is_sent_once_more_with_twice_the_memory_and_time(runs: Runs) -> None:
    jobs = {job["id"]: job for job in runs.on_lsf.submitted}
    killed = jobs[runs.on_lsf.killed]
    (again,) = [job for job in jobs.values() if job["name"] == killed["name"] and job["id"] != killed["id"]]
    assert int(again["minutes"]) == 2 * int(killed["minutes"])
    first, second = (float(re.search(r"mem=([\d.]+)", job["requirements"][0])[1]) for job in (killed, again))
    assert second == 2 * first


def test_an_emulated_queue_refuses_what_lsf_refuses(tmp_path: Path) -> None:
    environment = lsf_emulation.install(tmp_path / "lsf", LSF_QUEUES)
    asked = [
        "-J",
        "x",
        "-o",
        "l",
        "-e",
        "l",
        "-env",
        "all",
        "-P",
        "p",
        "-W",
        "60",
        "-n",
        "1",
        "-R",
        "rusage[mem=1.0]",
        "-R",
        "span[hosts=1]",
    ]

    def refused(*more: str) -> str:
        command = ["bsub", *asked, *more, "-cwd", ".", "true"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        return done.stderr

    assert "No such queue" in refused("-q", "night")
    assert "RUNLIMIT" in refused("-q", "hpc", "-W", "4321")
    assert "Bad GPU requirement" in refused("-q", "gpua100", "-gpu", "one")
    assert "Bad resource requirement" in refused("-q", "hpc", "-R", "rusage[memory]")
    assert lsf_emulation.submissions(environment) == []
    lsid = subprocess.run(["lsid"], env=environment, capture_output=True, text=True, check=True).stdout
    assert "emulation" in lsid


# ---- This machine ----


def test_a_checkpoint_by_its_path_is_a_backbone_and_its_weights_are_inputs(
    runs: Runs, config: dict[str, Any], checkpoint: Path
) -> None:
    with FeatureReader(runs.local.result("t/ring/features/tiny-dinov3/test.original.h5")) as features:
        assert features.layers == ["1"]
        assert tuple(features.grid_sizes[0]) == (28, 28)
        assert features.provenance["model"]["prefix_tokens"] == 5
        (digest,) = features.provenance["model"]["weights_sha256"].values()
        assert len(digest) == 64
    assert runs.local.result("t/report.html").is_file()

    faster = config | {"extraction": {"batch": 2, "workers": 1, "compile": False}}
    assert runs.local.run(faster).made == set()

    weights = checkpoint / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4] + b"\0\0\0\1")
    again = runs.local.run(config, "features", "--dry-run").output
    weights.write_bytes(whole)
    extracted = set(re.findall(r"Extracting tiny-dinov3 features of ring: (\S+), (\S+)", again))
    assert extracted == {("test", "original")}, again
