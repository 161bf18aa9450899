"""Configurations that are papers, in the real workflow: planned as they are, and one run with hand-made features."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import Project
from paths import REPOSITORY
from published_trees import write_mvtec, write_visa
from warm import warm_python

pytestmark = pytest.mark.slow

PRESETS = REPOSITORY / "config" / "published"


def test_presets_are_planned_without_their_models(tmp_path: Path) -> None:
    """One of each data set, and one of ResNets; tests/unit/workflow/test_published_settings.py checks the others."""
    places = {
        "mvtec_ad": {"root": write_mvtec(tmp_path / "mvtec", ["bottle"]).as_posix()},
        "visa": {"root": write_visa(tmp_path / "visa", ["candle"]).as_posix()},
    }
    files = [PRESETS / name for name in ("musc.yaml", "anomalydino_1shot_visa.yaml", "padim.yaml")]
    done = subprocess.run(
        [
            warm_python(),
            str(REPOSITORY / "tests/workflow/planned_presets.py"),
            str(REPOSITORY / "Snakefile"),
            os.pathsep.join(map(str, files)),
            json.dumps(places),
        ],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    musc, anomalydino, padim = json.loads(done.stdout.splitlines()[-1]).values()
    assert (musc["score_images"], musc["extract_features"], musc["collect_tables"]) == (1, 1, 1)
    assert "fit_method" not in musc
    assert (anomalydino["fit_method"], anomalydino["score_images"]) == (3, 3)
    assert anomalydino["extract_features"] == 1 + 3  # of test images, and of each draw of references
    assert (padim["fit_method"], padim["score_images"], padim["extract_features"]) == (2, 2, 4)


def test_a_run_prints_ours_beside_theirs_at_its_end(tmp_path: Path) -> None:
    """MuSc's preset with a filter bank in place of the network: the figures are those of its other tables."""
    project = Project.copy_of_repository(tmp_path / "project")
    root = write_mvtec(project.folder / "images", ["bottle"])
    for number, path in enumerate(sorted((root / "bottle/test").rglob("*.png"))):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        pixels[4:12, 4:12] = 255 * ("bent" in path.parts)
        Image.fromarray(pixels).save(path)
    mask = np.zeros((32, 32), np.uint8)
    mask[4:12, 4:12] = 255
    Image.fromarray(mask).save(root / "bottle/ground_truth/bent/000_mask.png")
    changes = {
        "dataset": {"root": "images"},
        "backbones": {"clip_blocks": None, "tiny": {"family": "embedded", "params": {"resolution": 32}}},
        "methods": {"musc": {"backbone": "tiny"}},
        "evaluation": {"protocol": "native", "bootstrap": 50},
    }
    (project.folder / "changes.yaml").write_text(json.dumps(changes))
    table = "results/musc/tables/against_published.csv"
    run = project.run(None, table, "--configfile", "config/published/musc.yaml", "changes.yaml")
    assert run.status == 0, run.output
    with (project.folder / table).open(encoding="utf-8", newline="") as stream:
        rows = {(row["category"], row["metric"]): row for row in csv.DictReader(stream)}
    with project.result("musc/tables/metrics.csv").open(encoding="utf-8", newline="") as stream:
        metrics = {row["category"]: row for row in csv.DictReader(stream) if row["refiner"] == "none"}
    assert {category for category, _ in rows} == {"mean", "bottle"}
    for (category, metric), row in rows.items():
        told = ("ours", "ours_low", "ours_high")
        assert [row[name] for name in told] == [
            metrics[category][name] for name in (metric, f"{metric}_low", f"{metric}_high")
        ]
        assert float(row["difference"]) == pytest.approx(float(row["ours"]) - float(row["theirs"]), abs=2e-6)
    assert rows["bottle", "image_auroc"]["theirs"] == "0.999200"
    said = run.output.split("zsad: our figures and published ones")
    assert len(said) == 2, run.output
    lines = [line.split() for line in said[1].splitlines()]
    of_mean = rows["mean", "pixel_ap"]
    assert next(line for line in lines if line[:2] == ["pixel", "AP"])[2] == f"{100 * float(of_mean['ours']):.1f}"
    assert "musc, compared with MuSc, CLIP ViT-L/14-336, 518 px (zero-shot-batch)" in said[1]
    assert "the published figure is the published row of the only category of the run" in said[1]
