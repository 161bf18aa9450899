"""The real workflow on a small demo set, from images to the page."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from PIL import Image

from harness import LEARNING, SMALL, Project, merged
from zsad.data.image_list import read_image_list
from zsad.files.decisions import DecisionReader
from zsad.files.features import FeatureReader
from zsad.files.masks import MaskReader
from zsad.files.scores import ScoreReader
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.watching.running import last_report
from zsad.workflow.settings import DEFAULT_PATH

pytestmark = pytest.mark.slow

METHODS = tuple(yaml.safe_load(DEFAULT_PATH.read_text())["methods"])
METRICS = ("image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of the preset `smoke`: two categories, every default method and refiner."""
    project = Project.copy_of_repository(tmp_path_factory.mktemp("smoke") / "project")
    run = project.run(None, "--configfile", "config/smoke.yaml")
    assert run.status == 0, run.output
    return project


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_metrics_table_has_a_row_for_each_category_method_and_refiner_and_the_means(smoke: Project) -> None:
    table = rows(smoke.result("smoke/tables/metrics.csv"))
    keys = [(row["category"], row["method"], row["refiner"]) for row in table]
    assert len(keys) == len(set(keys))
    assert set(keys) == {
        (category, method, refiner)
        for category in ("brick", "ring", "mean", "mean textures", "mean objects")
        for method in METHODS
        for refiner in ("none", "guided", "grabcut")
    }
    assert {row["protocol"] for row in table} == {"native"}
    for row in table:
        assert row["dataset"] == "smoke"
        assert row["backbone"] == "embedded"
        for metric in METRICS:
            low, value, high = (float(row[name]) for name in (f"{metric}_low", metric, f"{metric}_high"))
            assert 0 <= value <= 1, row
            assert low <= high, row
    settings = {row["method"]: row["setting"] for row in table}
    assert settings == {
        "self_similarity": "zero-shot-single",
        "mirror_symmetry": "zero-shot-single",
        "flip_consistency": "zero-shot-single",
        "mutual": "zero-shot-batch",
        "memory_bank": "few-shot-2",
    }


def test_the_mean_row_is_the_mean_of_the_categories(smoke: Project) -> None:
    table = rows(smoke.result("smoke/tables/metrics.csv"))
    for mean in (row for row in table if row["category"] == "mean"):
        same = [row for row in table if (row["method"], row["refiner"]) == (mean["method"], mean["refiner"])]
        for metric in METRICS:
            values = [float(row[metric]) for row in same if row["category"] != "mean"]
            assert float(mean[metric]) == pytest.approx(np.mean(values), abs=2e-6)


def test_every_test_image_is_listed_for_every_method(smoke: Project) -> None:
    table = rows(smoke.result("smoke/tables/images.csv"))
    for category in ("brick", "ring"):
        expected = {
            r.image_id for r in read_image_list(smoke.result(f"smoke/{category}/images.csv")) if r.split == "test"
        }
        for method in METHODS:
            listed = [row for row in table if (row["category"], row["method"]) == (category, method)]
            assert {row["image_id"] for row in listed} == expected
            assert len(listed) == len(expected)
            scores = [float(row["image_score"]) for row in listed]
            assert scores == sorted(scores, reverse=True)


def test_the_files_keep_to_the_contracts_between_stages(smoke: Project) -> None:
    for category in ("brick", "ring"):
        folder = smoke.result(f"smoke/{category}")
        records = [record for record in read_image_list(folder / "images.csv") if record.split == "test"]
        names = [record.image_id for record in records]
        with FeatureReader(folder / "features/embedded/test.original.h5") as features:
            assert features.image_ids == names
            assert features.provenance["model"]
        for method in METHODS:
            with (
                ScoreReader(folder / f"scores/{method}.h5") as scores,
                DecisionReader(folder / f"decisions/{method}.h5") as decisions,
                MaskReader(folder / f"masks/{method}.guided.h5") as masks,
            ):
                assert scores.image_ids == decisions.image_ids == masks.image_ids == names
                assert decisions.peaks.tolist() == [scores.anomaly_map(index).max() for index in range(len(records))]
                assert decisions.provenance["image_list_sha256"] == scores.provenance["image_list_sha256"]
                for index, record in enumerate(records):
                    assert scores.anomaly_map(index).dtype == np.float32
                    assert masks.mask(index).shape == (record.height, record.width)
                    assert masks.mask(index).any() <= decisions.decided[index]
                assert masks.provenance["image_list_sha256"] == scores.provenance["image_list_sha256"]
    with h5py.File(smoke.result("smoke/ring/features/embedded/test.original.h5")) as file:
        assert file["patch_tokens"].dtype == np.float16
        assert file["cls_tokens"].dtype == np.float32
        assert file["patch_tokens"].chunks[0] == 1
        provenance = json.loads(file.attrs["provenance"])
        assert {"stage", "params", "versions", "code", "image_list_sha256", "model", "device", "seconds"} <= set(
            provenance
        )


def test_every_job_leaves_a_log_and_a_benchmark(smoke: Project) -> None:
    stages = ("extract_features", "score_images", "decide_images", "refine_masks", "evaluate_scores")
    for rule in (*stages, "collect_tables", "build_page"):
        found = [*smoke.result(f"smoke/logs/{rule}").glob("*.log"), *smoke.result("smoke/logs").glob(f"{rule}.log")]
        assert found
        assert all(path.read_text().rstrip().endswith("done") for path in found)
        measured = [
            *smoke.result(f"smoke/benchmarks/{rule}").glob("*.tsv"),
            *smoke.result("smoke/benchmarks").glob(f"{rule}.tsv"),
        ]
        assert len(measured) == len(found)


def test_the_page_is_one_file_that_asks_nothing_of_the_network(smoke: Project) -> None:
    page = smoke.result("smoke/report.html").read_text(encoding="utf-8")
    for name in ("brick", "ring", *METHODS):
        assert name in page
    assert (
        re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)[^"']*""", page.replace('href="https://', 'link="https://'))
        == []
    )
    assert not re.search(r"<(script|link|img|iframe)[^>]+https?://", page)


def test_pictures_open(smoke: Project) -> None:
    pictures = list(smoke.result("smoke/plots").rglob("*.png"))
    assert len(pictures) == len(("summary", "bars", "quality_cost")) + 2 * (2 + len(METHODS))
    for picture in pictures:
        with Image.open(picture) as image:
            assert min(image.size) > 50


def test_every_scorer_that_compares_and_a_fusion_of_them_goes_from_images_to_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.copy_of_repository(tmp_path / "project")
    extra = yaml.safe_load((project.folder / "config" / "all_methods.yaml").read_text())["methods"]
    seeds = {
        "scorer": "memory_bank",
        "params": {"shots": 2},
        "seeds": [0, 1],
        "threshold": {"rule": "reference_quantile"},
    }
    small = {name: {"params": {"shots": 2}} for name in ("subspace", "mahalanobis")}
    methods = {
        name: merged(entry, **{"params": small.get(name, entry).get("params", {})}) for name, entry in extra.items()
    }
    methods |= {
        "flip_consistency": {"scorer": "flip_consistency"},
        "mutual": {"scorer": "mutual"},
        "patchcore": {"scorer": "patchcore"},
        "padim": {"scorer": "padim", "params": {"channels": 20}},
        "tile_distribution": {"scorer": "tile_distribution", "params": {"tile": 3}},
        "drawn": seeds,
    }
    config = SMALL | {"refiners": {"guided": None, "grabcut": None}, "methods": SMALL["methods"] | methods}
    config["report"] = SMALL["report"] | {"refiner": "none"}
    monkeypatch.setenv("ZSAD_PROGRESS_SECONDS", "0.1")
    run = project.run(config, "tables")
    assert run.status == 0, run.output
    assert re.search(r"^Job \d+: .*ring.*\n    \d+ %.* \(.+\)$", run.output, re.M), "no progress was told of"
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", run.output.replace("\t", "")), "there are control characters"
    reports = [last_report(log) for log in project.result("t/logs").glob("score_images/*.log")]
    assert {report and report.percent for report in reports} == {100}
    table = {row["method"]: row for row in rows(project.result("t/tables/metrics.csv")) if row["category"] == "ring"}
    names = {"self_similarity", *SMALL["methods"], *methods, "drawn-seed0", "drawn-seed1"}
    assert set(table) == names
    scorers = {
        (SMALL["methods"] | methods).get(name, {}).get("scorer", name)
        for name in names
        if not name.startswith("drawn-")
    }
    asked_nothing = {name for name in SCORERS.names() if not SCORERS.load(name).text_role}
    assert scorers == {*asked_nothing, *FUSIONS.names()} - {*LEARNING}
    for name, row in table.items():
        assert 0 <= float(row["image_auroc"]) <= 1
        assert (row["pixel_auroc"] == "NaN") == (name in ("gmm", "class_token_knn"))
    assert table["drawn"]["seeds"] == "2"
    assert table["ensemble"]["setting"] == "zero-shot-batch"
    with ScoreReader(project.result("t/ring/scores/drawn-seed1.h5")) as scores:
        references = scores.provenance["features"]["references"]
    assert len(references["image_ids"]) == 2 * 8
    assert references["subset"] == "references-k2-seed1"


def test_scores_do_not_depend_on_labels(finished: Project, tmp_path: Path) -> None:
    """Rename the folder `good` of the test set, so that its images come last; masks left out: all verdicts stay."""
    source = finished.result("data/t/ring")
    renamed = Project.copy_of_repository(tmp_path / "renamed")
    for path in sorted(source.rglob("*.png")):
        split, kind, file = path.relative_to(source).parts
        if split != "ground_truth":
            kind = "zzz" if (split, kind) == ("test", "good") else kind
            target = renamed.folder / "images" / "ring" / split / kind / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    config = merged(SMALL, dataset={"name": "t", "layout": "mvtec", "root": "images"})
    assert renamed.run(config, "results/t/ring/decisions/memory_bank.h5").status == 0
    found = []
    for project in (finished, renamed):
        with (
            ScoreReader(project.result("t/ring/scores/memory_bank.h5")) as scores,
            DecisionReader(project.result("t/ring/decisions/memory_bank.h5")) as decisions,
        ):
            assert scores.image_ids == decisions.image_ids
            names = [image_id.replace("/zzz/", "/good/") for image_id in scores.image_ids]
            columns = (
                scores.image_scores,
                decisions.region,
                decisions.pixel,
                decisions.decided,
                decisions.significance,
            )
            found.append({name: values for name, *values in zip(names, *columns, strict=True)})
    assert found[0] == found[1]


def test_targets_stop_where_they_say(tmp_path: Path) -> None:
    project = Project.copy_of_repository(tmp_path / "project")
    made = project.run(SMALL, "features").made
    assert any("/features/" in path for path in made)
    assert not any(stage in path for path in made for stage in ("/scores/", "/decisions/", "/masks/", "/tables/"))
    planned = project.would_make(SMALL, "decisions")
    assert {path for path in planned if "/decisions/" in path} == {
        f"t/ring/decisions/{name}.h5" for name in ("self_similarity", "mirror_symmetry", "memory_bank")
    }
    assert any("/scores/" in path for path in planned)
    assert not any(stage in path for path in planned for stage in ("/features/", "/masks/", "/metrics/", "/tables/"))
    planned = project.would_make(SMALL, "masks")
    assert any("/masks/" in path for path in planned)
    assert not any(stage in path for path in planned for stage in ("/features/", "/metrics/", "/tables/"))


def test_nested_values_given_with_config_are_read_as_their_types(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    run = project.run(
        SMALL, "--config", 'methods={"memory_bank": {"params": {"shots": "2", "seed": "0"}}}', "--dry-run"
    )
    assert run.status == 0, run.output
    assert "Nothing to be done" in run.output
