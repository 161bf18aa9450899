"""A folder of photographs without a label, all the way to the ranked list, kinds by a few examples, and the page."""

from __future__ import annotations

import csv
import re
import shutil
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from harness import SMALL, Project
from paths import REAL_DATA
from zsad.data.manifest import read_manifest

pytestmark = pytest.mark.slow

METHODS = ("self_similarity", "mirror_symmetry", "flip_consistency", "mutual")
FEW = {
    "backbone": "embedded",
    "backbones": SMALL["backbones"],
    "refiners": {"grabcut": None},
    "report": SMALL["report"],
    "supports": {"known": {"folder": "my examples"}},
    "classifiers": {
        "kinds": {
            **{
                "classifier": "nearest_exemplar",
                "support": "known",
                "embedding": "region",
                "method": "self_similarity",
            },
            **{"shots": "all", "calibration": 0, "seeds": [0], "conformal": {"sets": "cross"}},
        }
    },
}
CLASSIFIED = {
    f"folder/{name}"
    for name in (
        "my photographs/classification/kinds.h5",
        "my photographs/metrics/classification/kinds.json",
        *(f"tables/classification{name}" for name in (".csv", "_metrics.csv", ".md", ".tex", ".sha256")),
    )
}
NAMES = ("Ä 1.JPG", "a/b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg", "g.jpg")


def photographs(folder: Path) -> None:
    """Four good tiles and three cracked ones, or drawings of such, in one folder that says nothing of them."""
    for index, name in enumerate(NAMES):
        put(folder / name, "crack" if index >= 4 else "good", index)
    (folder / "Thumbs.db").write_bytes(b"no image")


def examples(folder: Path) -> None:
    """Other such tiles, in a folder for each kind."""
    for kind in ("good", "crack"):
        for index in range(10, 12):
            put(folder / kind / f"{index}.jpg", kind, index)


def put(path: Path, kind: str, index: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    real = sorted((REAL_DATA / "magnetic_tile/test" / kind).glob("*"))
    if real:
        shutil.copy(real[index], path)
        return
    pixels = np.random.default_rng(index).integers(110, 140, (64, 80, 3), dtype=np.uint8)
    pixels[30:34, 20:60] = 0 if kind == "crack" else 125
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def inspected(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of the preset `folder`, by the command line that it gives."""
    project = Project.copy_of_repository(tmp_path_factory.mktemp("unlabelled") / "project")
    photographs(project.folder / "my photographs")
    examples(project.folder / "my examples")
    (project.folder / "few.yaml").write_text(yaml.safe_dump(FEW))
    presets = ("--configfile", "config/folder.yaml", "few.yaml")
    run = project.run(None, *presets, "--config", 'dataset={"root": "my photographs"}')
    assert run.status == 0, run.output
    return project


def test_every_image_is_listed_and_none_has_a_label(inspected: Project) -> None:
    records = read_manifest(inspected.result("folder/my photographs/manifest.csv"))
    assert [record.image_id for record in records] == sorted(NAMES)
    assert {(record.split, record.label, record.defect_type) for record in records} == {("test", None, "")}


def test_the_list_of_images_is_ranked_for_each_method(inspected: Project) -> None:
    with inspected.result("folder/tables/images.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    lists = {method: list(of_method) for method, of_method in groupby(rows, lambda row: row["method"])}
    assert set(lists) == set(METHODS)
    for ranked in lists.values():
        assert {row["image_id"] for row in ranked} == set(NAMES)
        scores = [float(row["image_score"]) for row in ranked]
        assert scores == sorted(scores, reverse=True)
        assert [int(row["rank"]) for row in ranked] == [1 + sum(other > score for other in scores) for score in scores]
        for row in ranked:
            assert row["label"] == row["defect_type"] == ""
            assert row["decision"] == str(int(float(row["peak"]) > float(row["region_threshold"] or "inf")))
            assert (int(row["marked_regions"]) > 0) == (float(row["marked_share"]) > 0) == (row["decision"] == "1")


def test_what_no_label_allows_to_measure_is_not_made(inspected: Project) -> None:
    made = inspected.result("folder")
    assert {path.name for path in (made / "tables").iterdir()} == {
        *("images.csv", "decisions.csv", "tables.sha256"),
        *("cost.csv", "cost.md", "cost.tex", "cost.sha256"),
        *(Path(path).name for path in CLASSIFIED if "/tables/" in path),
    }
    plots = {path.name for path in (made / "plots").rglob("*") if path.is_file()}
    assert plots == {"histograms.png", *(f"{name}.gallery.{kind}" for name in METHODS for kind in ("json", "png"))}
    assert not list(made.rglob("draws"))
    assert "Evaluated by" not in (made / "tables" / "cost.md").read_text(encoding="utf-8")


def test_the_page_says_that_nothing_is_evaluated_and_shows_the_ranking(inspected: Project) -> None:
    page = inspected.result("folder/report.html").read_text(encoding="utf-8")
    costs = re.search(r'<section aria-labelledby="cost">.*?</section>', page, flags=re.S)[0]
    assert "native" not in costs
    page = page.replace(costs, "")
    words = " ".join(re.sub(r"<(script|style)[^>]*>.*?</\1>|<[^>]*>", " ", page, flags=re.S).split())
    assert "Not evaluated: no image has a label." in words
    assert "With labels of normal and defective images, the same run measures the rankings" in words
    assert "Most anomalous images" in words
    assert re.search(r"mutual : (\d|None) of \d photographs (is|are) called defective\.", words)
    assert not re.search(r"<(section|div|details|tbody)[^>]*>\s*</\1>", page)
    assert all(name in words for name in (*NAMES, *METHODS))
    assert not re.search(r"\b(nan|n/a|AUROC|AUPRO|IoU|F1)\b", words.split("Provenance The origin")[0], re.I)


def test_every_photograph_gets_a_kind_by_the_examples_beside_it(inspected: Project) -> None:
    with inspected.result("folder/tables/classification.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["image_id"] for row in rows} == set(NAMES)
    assert {(row["true"], row["setting"], row["support"]) for row in rows} == {("", "few-shot-defects-all", "known")}
    assert {row["predicted"] for row in rows} <= {"good", "crack"}
    nearest = {row[f"nearest {kind}"] for row in rows for kind in ("good", "crack")}
    assert nearest <= {f"{kind}/{index}.jpg" for kind in ("good", "crack") for index in (10, 11)}


def test_another_alpha_runs_no_feature_no_score_and_no_draw(inspected: Project) -> None:
    """By the jobs of a real run."""
    kinds = {**FEW["classifiers"]["kinds"], "conformal": {"sets": "cross", "alpha": 0.4}}
    (inspected.folder / "more.yaml").write_text(yaml.safe_dump({"classifiers": {"kinds": kinds}}))
    presets = ("--configfile", "config/folder.yaml", "few.yaml", "more.yaml")
    run = inspected.run(None, "classes", *presets, "--config", 'dataset={"root": "my photographs"}')
    assert run.status == 0, run.output
    assert run.made == CLASSIFIED
