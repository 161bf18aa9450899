"""Every rule that reads files which people named follows them, whatever their names, with no exception to forget."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
import yaml

from paths import REPOSITORY
from tiny_texts import write_tiny_clip
from warm import warm_python
from zsad.files.tracked import stamp

PLAIN, MISREAD = "plain", "{category} <results> {1,2}"
FOLLOWED = {
    "build_manifest",
    "read_images",
    "check_images",
    "extract_features",
    "encode_texts",
    "score_images",
    "embed_images",
    "segment_foreground",
    "embed_crops",
    "prompt_masks",
    "evaluate_scores",
    "evaluate_oracle",
}
MODEL = transformers.Dinov2Config(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14, mlp_ratio=2
)
CROPS = {"refiner": "sam", "params": {"crops": {}}}


def write_all(folder: Path, write_png: Callable[..., Path]) -> dict[str, Any]:
    """Every kind of file that a run reads, in a folder; returns the configuration that names them all."""
    category = folder / "images/tile"
    for name in ("train/good/0", "test/good/0", "test/good/1", "test/logical_anomalies/0", "test/logical_anomalies/1"):
        write_png(category / f"{name}.png")
    for name in ("0", "1"):
        write_png(category / f"ground_truth/logical_anomalies/{name}/000.png")
    table = [{"defect_name": "bent", "pixel_value": 255, "saturation_threshold": 1.0, "relative_saturation": True}]
    (category / "defects_config.json").write_text(json.dumps(table))
    transformers.Dinov2Model(MODEL).save_pretrained(folder / "model")
    (folder / "model/preprocessor_config.json").write_text('{"image_mean": [0, 0, 0], "image_std": [1, 1, 1]}')
    write_tiny_clip(folder / "clip")
    shutil.copy(folder / "model/preprocessor_config.json", folder / "clip")
    (folder / "words.yaml").write_text('{normal: ["{}"], anomalous: ["bad {}"], templates: ["{}"]}')
    for name in ("sam.pth", "linear.pth"):
        (folder / name).write_bytes(b"weights")
    return {
        "dataset": {"name": "t", "layout": "mvtec_loco", "root": f"{folder}/images"},
        "backbone": "own",
        "backbones": {
            "own": {
                "family": "transformers",
                "params": {"model": f"{folder}/model", "resolution": 28, "layers": [-1]},
            },
            "words": {
                "family": "image_text",
                "params": {"model": f"{folder}/clip", "resolution": 16, "projected": False, "normed": False},
            },
        },
        "segmenter": f"{folder}/sam.pth",
        "methods": {
            **dict.fromkeys(("self_similarity", "mirror_symmetry", "flip_consistency", "memory_bank")),
            "asking": {
                "scorer": "text_similarity",
                "backbone": "words",
                "params": {
                    "text_prompts": f"{folder}/words.yaml",
                    "linear_layers": f"{folder}/linear.pth",
                    "trained_on": "visa",
                },
            },
            "batch": {"scorer": "batch_neighbours", "params": {"foreground": "sam"}},
        },
        "refiners": {"guided": None, "sam": CROPS},
        "report": {"refiner": "none"},
    }


def planning(folder: Path, name: str, config: dict[str, Any]) -> subprocess.Popen[str]:
    """A process that plans a run in a folder."""
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    script = REPOSITORY / "tests/workflow/planned_jobs.py"
    return subprocess.Popen(
        [warm_python(), str(script), str(REPOSITORY / "Snakefile"), f"{name}.yaml"],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def planned(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """The jobs."""
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    return json.loads(said.splitlines()[-1])


def test_a_rule_that_reads_files_of_people_follows_those_that_snakemake_would_misread_by_a_stamp(
    tmp_path: Path, write_png: Callable[..., Path]
) -> None:
    folders = {PLAIN: tmp_path / PLAIN, MISREAD: tmp_path / MISREAD}
    plans = {name: planning(tmp_path, str(len(name)), write_all(folders[name], write_png)) for name in folders}
    jobs = {name: planned(process) for name, process in plans.items()}
    assert len(jobs[PLAIN]) == len(jobs[MISREAD])
    assert {job["rule"] for job in jobs[PLAIN] if job["files"]} == FOLLOWED
    assert {job["stamp"] for job in jobs[PLAIN] if job["rule"] in FOLLOWED} == {""}
    assert all(job["files"] == [] for job in jobs[MISREAD])
    plain, misread = (f"{tmp_path}/{name}/" for name in (PLAIN, MISREAD))
    wanted = {
        (job["rule"], stamp(path.replace(plain, misread) for path in job["files"]))
        for job in jobs[PLAIN]
        if job["files"]
    }
    assert {(job["rule"], job["stamp"]) for job in jobs[MISREAD] if job["stamp"]} == wanted
