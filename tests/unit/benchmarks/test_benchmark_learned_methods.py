"""The study of methods that learn: what it leaves out of a training, what it keeps, and its table."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import zsad
from paths import load_script
from zsad.data.demo.make_demo import make_category
from zsad.data.demo.plan import DemoOptions
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.files.json_files import write_json


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """benchmarks/learned_methods.py, which is a script and no part of a package."""
    return load_script("benchmarks/learned_methods.py")


def places(study: ModuleType, root: Path) -> dict:
    demo = [study.Category("demo", name, MvtecLayout(), root) for name in ("brick", "ring")]
    return {"demo": demo, "ELPV": [study.Category("ELPV", "mono", MvtecLayout(), root)]}


def test_a_category_is_no_part_of_what_is_learned_for_it(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def train_method(*, categories, output, **others) -> None:
        asked.append([files.name for files in categories])

    known = places(study, tmp_path)
    monkeypatch.setattr(study, "train_method", train_method)
    monkeypatch.setattr(study, "data_sets", lambda folder, tile: known)
    monkeypatch.setattr(study.Inputs, "features", lambda self, wanted: Path())
    monkeypatch.setattr(study.Inputs, "manifest", lambda self: Path())
    weights = {
        study.trained(study.Run(category, "embedded", "visual_prompts", 0), tmp_path)[0]
        for category in (*known["demo"], *known["ELPV"])
    }
    assert asked == [["ring"], ["brick"], ["brick", "ring"]]
    assert len(weights) == 3
    study.trained(study.Run(known["demo"][0], "embedded", "visual_prompts", 0), tmp_path)
    assert len(asked) == 3  # what was learned is kept


def test_variants_are_tried_on_the_demo_set_with_the_first_backbone_alone(study: ModuleType, tmp_path: Path) -> None:
    found = list(study.runs(places(study, tmp_path), study.BACKBONES, ["mutual", "flow, worst"]))
    assert [(run.category.name, run.backbone, run.seed) for run in found if run.method == "flow, worst"] == [
        (name, study.BACKBONES[0], seed) for name in ("brick", "ring") for seed in (0, 1, 2)
    ]
    assert sum(run.method == "mutual" for run in found) == 2 * 3  # which has no seed


def test_the_table_has_means_over_categories_and_deviations_over_seeds_and_gaps(
    study: ModuleType, tmp_path: Path
) -> None:
    known = {}
    seconds = {"train_seconds": 0.0, "fit_seconds": 2.0, "score_seconds": 1.0, "setting": "few-shot-8"}
    for category, base in zip(places(study, tmp_path)["demo"], (0.5, 0.7), strict=True):
        for seed in (0, 1, 2):
            figures = {"image_auroc": base + 0.1 * seed, "aupro": base, "pixel_ap": base}
            known[study.Run(category, "embedded", "mahalanobis", seed)] = {**figures, **seconds}
    of_demo, seconds_shown = ("70.0 ± 10.0", "60.0 ± 0.0", "60.0 ± 0.0"), ("0.0", "2.0", "1.0")
    head = ("mahalanobis", "`few-shot-8`")
    assert row_of(study, tmp_path, known) == [*head, *of_demo, "", *seconds_shown]
    del known[study.Run(places(study, tmp_path)["demo"][0], "embedded", "mahalanobis", 1)]
    assert row_of(study, tmp_path, known) == [*head, "", "", "", "", *seconds_shown]


def row_of(study: ModuleType, root: Path, known: dict) -> list[str]:
    line = study.table(places(study, root), "embedded", known).splitlines()[2]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_figure_is_that_of_the_library_and_is_computed_once(study: ModuleType, tmp_path: Path) -> None:
    category = study.Category("own", "ring", MvtecLayout(), tmp_path / "images")
    make_category("ring", DemoOptions(size=64, train=3, good=3, defective=4), tmp_path / "images/ring")
    run = study.Run(category, "embedded", "mutual", None)
    row = study.measured(run, tmp_path)
    records = sorted((one for one in study.records_of(category) if one.split == "test"), key=lambda one: one.image_id)
    scores = zsad.score("mutual", test=zsad.extract([one.path for one in records], "embedded"))
    labels = [one.label for one in records]
    assert row["image_auroc"] == pytest.approx(zsad.metrics.image_auroc([one.image_score for one in scores], labels))
    assert 0 <= row["aupro"] <= 1
    write_json(study.row_file(run, tmp_path), {"kept": True})
    assert study.measured(run, tmp_path)["kept"]
