"""What jobs are expected to take, against what Snakemake measured of them in a run."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness import SMALL as CONFIG
from harness import Project, merged
from paths import REPOSITORY
from tiny_sam import write_segment_anything
from zsad.resources.comparison import Comparison, comparisons, speed
from zsad.resources.jobs import ESTIMATES
from zsad.resources.run import Run
from zsad.resources.segmentation import encoding, loaded
from zsad.workflow.settings import load

pytestmark = pytest.mark.slow

# Images large enough to be worth counting, and every rule that needs no network and no weights.
SIZED = merged(
    CONFIG,
    dataset={"name": "t", "categories": ["brick"], "demo": {"size": 320, "train": 4, "good": 3, "defective": 5}},
    auxiliary={"name": "others", "categories": ["ring"], "demo": {"size": 320, "train": 2, "good": 3, "defective": 5}},
    backbones={"embedded": {"params": {"resolution": 512}}, "half": {"family": "embedded"}},
    methods={
        "self_similarity": None,
        "mirror_symmetry": None,
        "flip_consistency": None,
        "mutual": {"backbone": ["embedded", "half"]},
        "memory_bank": {"params": {"shots": 2, "rotations": False}},
        "ensemble": {"scorer": "fusion", "params": {"methods": ["mutual", "memory_bank"]}},
        "learned": {"scorer": "prompt_memory"},
        "sharpened": {"scorer": "modulation", "params": {"method": "mutual", "refiner": "guided"}},
    },
    supports={"known": {"folder": "known"}},
    classifiers={
        "beside": {
            **{"classifier": "nearest_exemplar", "support": "known", "embedding": "region"},
            **{"method": "memory_bank", "shots": "all", "calibration": 0, "conformal": {"sets": "cross"}},
        },
        "outlined": {
            **{"classifier": "nearest_exemplar", "embedding": "region", "masks": "ground_truth", "shots": 1},
            **{"calibration": 0, "conformal": {"sets": "cross"}, "scarce": "skip"},
        },
    },
)
# Snakemake looks at a job every half second, which most of these jobs hardly last.
INTERVAL = 0.1
LOOKING_OFTEN = f"""
import sys
import snakemake.benchmark
from snakemake.cli import main
snakemake.benchmark.BENCHMARK_INTERVAL_SHORT = {INTERVAL}
main()
"""
WITH_WEIGHTS = {
    *("encode_texts", "embed_images", "segment_foreground", "embed_crops", "prompt_masks", "evaluate_oracle"),
}
WITH_NETWORK = {"download_dataset"}
FACTOR = 2.0
SHORT = 1.0  # seconds on the clock
PAGES = 50.0  # MB: of the libraries, systems map more or fewer pages at a time
START = 0.5  # seconds: what starting Python and its libraries may take more or less than expected, beside the rest


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[Comparison]:
    """All jobs of a finished run, on one core so that none takes another's time, each with a start of its own."""
    project = Project.copy_of_repository(tmp_path_factory.mktemp("resources") / "project")
    for number, name in enumerate(("crack/0.png", "crack/1.png", "good/0.png", "good/1.png")):
        path = project.folder / "known" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (320, 320, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    exported = [f"results/t/brick/exports/{method}" for method in ("memory_bank", "sharpened")]
    made = "results/t/brick/synthetic/synthetic-k2-seed0-n4-cpns/images.csv"
    python, _, _, *arguments = project.command(SIZED, "--cores", "1", "all", made, *exported)
    done = subprocess.run(
        [python, "-c", LOOKING_OFTEN, *arguments],
        cwd=project.folder,
        env={**os.environ, "ZSAD_WARM": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        run = Run(load(project.folder / "override.yaml"), project.result(""))
    learned_from = comparisons(run, project.result("others/benchmarks"), INTERVAL)
    assert {"make_demo", "read_images", "extract_features"} <= {job.rule for job in learned_from}
    return [*comparisons(run, project.result("t/benchmarks"), INTERVAL), *learned_from]


def by_rule(jobs: list[Comparison]) -> dict[str, list[Comparison]]:
    return {rule: [job for job in jobs if job.rule == rule] for rule in dict.fromkeys(job.rule for job in jobs)}


def test_every_rule_is_measured_but_those_that_need_weights_or_a_network(jobs: list[Comparison]) -> None:
    assert set(by_rule(jobs)) == set(ESTIMATES) - WITH_WEIGHTS - WITH_NETWORK


def test_memory_is_within_a_factor_of_2(jobs: list[Comparison]) -> None:
    """A job is looked at every half second: what ends within a second may never be seen with all of its memory."""
    measured = {
        rule: [job for job in of_rule if not math.isnan(job.megabytes)] for rule, of_rule in by_rule(jobs).items()
    }
    ratios = {
        rule: statistics.median(job.memory_ratio for job in of_rule) for rule, of_rule in measured.items() if of_rule
    }
    assert len(ratios) > len(measured) / 2
    too_low = {rule: ratio for rule, ratio in ratios.items() if ratio < 1 / FACTOR}
    too_high = {rule: ratio for rule, ratio in ratios.items() if ratio > FACTOR}
    assert {rule: too_high[rule] for rule in too_high if max(job.clock for job in measured[rule]) > SHORT} == {}
    assert too_low == {}


def test_no_job_needs_more_memory_than_it_asks_for(jobs: list[Comparison]) -> None:
    assert [job for job in jobs if job.megabytes > 1.5 * job.expected.megabytes + PAGES] == []


def test_seconds_are_within_a_factor_of_2_of_this_machines_speed(jobs: list[Comparison]) -> None:
    """A job took between what was seen of it, every half second, and the clock; on an idle machine they are one.

    Machines differ more in how fast they start a short job than in how fast they work on a long one.
    """
    factor = speed(jobs)
    too_few, too_many = {}, {}
    for rule, of_rule in by_rule(jobs).items():
        expected = statistics.median(job.expected.seconds for job in of_rule) / factor
        seen = statistics.median(0 if math.isnan(job.seconds) else job.seconds for job in of_rule)
        clock = statistics.median(job.clock for job in of_rule)
        too_few |= {rule: (expected, seen)} if expected < seen / FACTOR - START else {}
        too_many |= {rule: (expected, clock)} if expected > clock * FACTOR + START else {}
    assert too_few == {}
    assert too_many == {}


EMBEDDING = """
import sys
from pathlib import Path
import numpy as np
from zsad.segmentation.registry import SEGMENTERS
segmenter = SEGMENTERS.build("segment_anything", {"model": sys.argv[1]}).load("cpu")
segmenter.embed([segmenter.prepare(np.zeros((64, 64, 3), np.uint8))])
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1000)
"""


def test_a_segmentation_model_takes_the_memory_that_its_weights_and_its_square_say(tmp_path: Path) -> None:
    """A tiny one, so this is about the libraries; benchmarks/resources.py compares the real ones.

    Its peak is that of its own memory: what the system counts of a process begins with the size of the one that
    started it, which is that of all tests so far.
    """
    checkpoint = write_segment_anything(tmp_path / "tiny.pth", side=64)
    command = [sys.executable, "-c", EMBEDDING, str(checkpoint)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    megabytes = checkpoint.stat().st_size / 1e6
    expected = loaded(megabytes).plus(*encoding(megabytes, side=64, squares=1))
    assert 1 / FACTOR <= expected.megabytes / float(done.stdout.split()[-1]) <= FACTOR


ASKING = """
include: "Snakefile"
print("gpus asked for:", network_gpus())
"""


@pytest.mark.parametrize(
    ("changes", "arguments", "gpus"),
    [
        ({}, ["--resources", "gpu=1"], 0),  # nothing that is configured has a network
        ({"backbone": "dinov3-vits16"}, ["--resources", "gpu=2"], 1),
        ({"backbone": "dinov3-vits16"}, ["--resources", "gpu=0"], 0),
        ({"backbone": "dinov3-vits16", "device": "cpu"}, ["--resources", "gpu=1"], 0),
        ({"backbone": "dinov3-vits16", "device": "cuda"}, [], 1),
    ],
)
def test_jobs_with_a_network_ask_for_a_gpu_where_there_is_one(
    tmp_path: Path, changes: dict[str, Any], arguments: list[str], gpus: int
) -> None:
    project = Project.copy_of_repository(tmp_path / "project")
    (project.folder / "asking.smk").write_text(ASKING, encoding="utf-8")
    run = project.run(merged(CONFIG, **changes), "--snakefile", "asking.smk", "--list-rules", *arguments)
    assert f"gpus asked for: {gpus}\n" in run.output
