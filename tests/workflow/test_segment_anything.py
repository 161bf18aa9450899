"""The workflow with Segment Anything, from a tiny checkpoint in the authors' format, and what a change runs again."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from harness import SMALL, Project, merged
from tiny_sam import write_segment_anything
from zsad.files.decisions import DecisionReader
from zsad.files.embeddings import EmbeddingReader
from zsad.files.features import FeatureReader
from zsad.files.masks import MaskReader
from zsad.files.scores import ScoreReader

pytestmark = pytest.mark.slow

WITH_PART = {
    "methods__memory_bank": {"params": {"shots": 2, "foreground": "sam"}, "threshold": {"rule": "reference_quantile"}}
}
SHARPENED = {"methods__sharpened": {"scorer": "modulation", "params": {"method": "self_similarity", "refiner": "sam"}}}


def with_sam(checkpoint: Path) -> dict[str, Any]:
    """One method and one refiner, so that a run is short."""
    return merged(
        SMALL,
        dataset={
            "name": "t",
            "categories": ["brick"],
            "demo": {"size": 64, "train": 3, "good": 2, "defective": 4, "seed": 3},
        },
        segmenter=str(checkpoint),
        methods__mirror_symmetry=None,
        methods__memory_bank=None,
        refiners={"guided": None, "grabcut": None, "sam": {"refiner": "sam", "params": {"crops": {"below": 0.3}}}},
        report__refiner="sam",
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return with_sam(write_segment_anything(tmp_path_factory.mktemp("weights") / "tiny.pth"))


@pytest.fixture(scope="module")
def outlined(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a finished run; copy it, do not change it."""
    project = Project.copy_of_repository(tmp_path_factory.mktemp("sam") / "project")
    run = project.run(config)
    assert run.status == 0, run.output
    return project


def would_run(project: Project, config: dict[str, Any]) -> dict[str, int]:
    """How many jobs of each rule a run would have."""
    run = project.run(config, "-n")
    assert run.status == 0, run.output
    if "Nothing to be done" in run.output:
        return {}
    stats = run.output.split("Job stats:")[1]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", stats, re.MULTILINE) if rule != "total"}


def table(project: Project, name: str) -> list[dict[str, str]]:
    with project.result(f"t/tables/{name}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_stage_leaves_its_results(outlined: Project) -> None:
    with EmbeddingReader(outlined.result("t/brick/embeddings/tiny-pth/test.h5")) as embeddings:
        assert embeddings.windows.tolist() == [[0, 0, 64, 64]] * 6
        assert embeddings.provenance["segmenter"]["weights_sha256"]
    with MaskReader(outlined.result("t/brick/foregrounds/tiny-pth/test.h5")) as parts:
        assert parts.image_ids == embeddings.image_ids
    with (
        MaskReader(outlined.result("t/brick/masks/self_similarity.sam.h5")) as masks,
        DecisionReader(outlined.result("t/brick/decisions/self_similarity.h5")) as decisions,
    ):
        assert [bool(masks.mask(index).any()) for index in range(len(masks))] == decisions.decided.tolist()
        assert masks.provenance["threshold_rule"] == decisions.provenance["threshold_rule"]
        regions = [region for index in range(len(masks)) for region in masks.regions(index)]
        assert regions, "nothing was prompted, so that this run shows nothing"
        assert all(
            {"prompt", "candidate", "agreement", "quality", "cause", "reason"} <= set(region) for region in regions
        )
        assert all(region["accepted"] == (region["cause"] == "") for region in regions)
    with EmbeddingReader(outlined.result("t/brick/crops/self_similarity.sam.h5")) as crops:
        cropped = [tuple(region["crop"]) for region in regions if region["crop"]]
        assert sorted(set(map(tuple, crops.windows.tolist()))) == sorted(set(cropped))


def test_modulated_maps_are_finer_than_the_patch_grid_and_keep_scores_and_thresholds(
    outlined: Project, config: dict[str, Any], tmp_path: Path
) -> None:
    project = outlined.copy(tmp_path / "project")
    run = project.run(merged(config, **SHARPENED), "results/t/brick/decisions/sharpened.h5")
    assert run.status == 0, run.output
    assert run.made == {"t/brick/scores/sharpened.h5", "t/brick/decisions/sharpened.h5"}
    with (
        ScoreReader(project.result("t/brick/scores/self_similarity.h5")) as source,
        ScoreReader(project.result("t/brick/scores/sharpened.h5")) as modulated,
    ):
        assert modulated.image_scores.tolist() == source.image_scores.tolist()
        assert modulated.setting == source.setting
        assert modulated.anomaly_map(0).shape == (64, 64)
        peaks = [float(modulated.anomaly_map(index).max()) for index in range(len(modulated))]
    with (
        DecisionReader(project.result("t/brick/decisions/self_similarity.h5")) as of_method,
        DecisionReader(project.result("t/brick/decisions/sharpened.h5")) as adopted,
    ):
        assert (adopted.pixel.tolist(), adopted.region.tolist()) == (
            of_method.pixel.tolist(),
            of_method.region.tolist(),
        )
        assert adopted.peaks.tolist() == peaks


def test_a_foreground_of_sam_reaches_the_scores(outlined: Project, config: dict[str, Any], tmp_path: Path) -> None:
    project = outlined.copy(tmp_path / "project")
    run = project.run(merged(config, **WITH_PART), "results/t/brick/scores/memory_bank.h5")
    assert run.status == 0, run.output
    with ScoreReader(project.result("t/brick/scores/memory_bank.h5")) as scores:
        assert scores.provenance["params"]["params"]["foreground"] == "sam"
    with FeatureReader(project.result("t/brick/features/embedded/references-k2-seed0.rotations.h5")) as references:
        names = {image_id.split("@")[0] for image_id in references.image_ids}
    with MaskReader(project.result("t/brick/foregrounds/tiny-pth/references-k2-seed0.h5")) as parts:
        assert set(parts.image_ids) == names


def test_the_tables_count_what_was_prompted_and_show_the_oracle_apart(outlined: Project) -> None:
    rows = table(outlined, "refinement")
    prompted = [row for row in rows if row["method"] == "self_similarity" and row["defect_type"] == "all types"]
    assert {row["refiner"] for row in prompted} == {"sam"}
    assert all(int(row["regions_prompted"]) >= int(row["regions_accepted"]) for row in prompted)
    oracle = [row for row in table(outlined, "metrics") if row["method"] == "oracle"]
    assert [(row["category"], row["setting"], row["refiner"]) for row in oracle] == [
        ("brick", "oracle", "tiny-pth"),
        ("mean", "oracle", "tiny-pth"),
    ]
    assert all(row["image_auroc"] == "NaN" and float(row["mask_iou"]) >= 0 for row in oracle)
    page = outlined.result("t/report.html").read_text()
    assert "oracle" in page
    assert "not a method" in page


def test_the_ranking_metrics_are_those_of_the_map_whatever_the_refiner(outlined: Project) -> None:
    rows = [
        row for row in table(outlined, "metrics") if row["method"] == "self_similarity" and row["category"] == "brick"
    ]
    assert {row["refiner"] for row in rows} == {"none", "sam"}
    assert len({(row["image_auroc"], row["pixel_ap"], row["aupro"]) for row in rows}) == 1


def test_a_prompt_parameter_runs_decoding_and_what_follows_alone(
    outlined: Project, config: dict[str, Any], tmp_path: Path
) -> None:
    project = outlined.copy(tmp_path / "project")
    changed = merged(config, refiners__sam__params__negative_points=4)
    planned = project.would_make(changed)
    before = ("/embeddings/", "/foregrounds/", "/crops/", "/features/", "/scores/", "/oracle/")
    assert not any(stage in path for path in planned for stage in before)
    assert {path for path in planned if "/masks/" in path} == {"t/brick/masks/self_similarity.sam.h5"}
    assert "t/tables/refinement.csv" in planned
    run = project.run(changed, "masks")
    assert run.status == 0, run.output
    assert run.made == {"t/brick/masks/self_similarity.sam.h5"}
    with MaskReader(project.result("t/brick/masks/self_similarity.sam.h5")) as masks:
        regions = [region for index in range(len(masks)) for region in masks.regions(index)]
    assert max(len(region["prompt"]["outside"]) for region in regions) > 2


@pytest.mark.parametrize(
    ("change", "runs", "spares"),
    [
        (
            {"refiners__sam__params__crops": {"below": 0.2}},
            {"embed_crops": 1, "prompt_masks": 1},
            {"embed_images", "segment_foreground", "score_images", "evaluate_oracle"},
        ),
        (
            {"foreground__least_value": 0.2},
            {"segment_foreground": 1, "prompt_masks": 1},
            {"embed_images", "embed_crops", "score_images", "evaluate_oracle"},
        ),
        (
            {"segmenters__tiny": {"family": "segment_anything", "params": {"dtype": "float32"}}, "segmenter": "tiny"},
            {"embed_images": 1, "segment_foreground": 1, "embed_crops": 1, "prompt_masks": 1, "evaluate_oracle": 1},
            {"extract_features", "score_images"},
        ),
    ],
    ids=["crops", "foreground", "model"],
)
def test_a_change_runs_what_depends_on_it(
    outlined: Project,
    config: dict[str, Any],
    tmp_path: Path,
    change: dict[str, Any],
    runs: dict[str, int],
    spares: set[str],
) -> None:
    changed = merged(config, **change)
    if "segmenters" in changed:
        changed["segmenters"]["tiny"]["params"]["model"] = config["segmenter"]
    jobs = would_run(outlined.copy(tmp_path / "project"), changed)
    assert {rule: jobs.get(rule) for rule in runs} == runs
    assert not spares & set(jobs)


def test_other_weights_under_the_same_name_run_the_embedding_again(
    outlined: Project, config: dict[str, Any], tmp_path: Path
) -> None:
    checkpoint = write_segment_anything(tmp_path / "tiny.pth", seed=1)
    project = outlined.copy(tmp_path / "project")
    moved = merged(config, segmenter=str(checkpoint))
    jobs = would_run(project, moved)
    assert jobs["embed_images"] == 1
    assert "extract_features" not in jobs


def test_nothing_runs_without_a_change(outlined: Project, config: dict[str, Any]) -> None:
    assert would_run(outlined, config) == {}


def test_missing_weights_end_in_one_sentence(outlined: Project, config: dict[str, Any], tmp_path: Path) -> None:
    run = outlined.copy(tmp_path / "project").run(merged(config, segmenter="absent/tiny.pth"), "embeddings")
    assert run.status != 0
    assert "absent/tiny.pth" in run.output
    assert "Traceback" not in run.output
    assert run.made_by("absent") == set()
