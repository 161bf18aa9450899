"""A real, small run, read after it: compared, and told to trackers of experiments."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from harness import SMALL, Project
from zsad.comparing import compare_runs
from zsad.files.json_files import read_json, write_json
from zsad.tables.csv_tables import COMPARISONS, METRICS
from zsad.tables.frames import rows_of
from zsad.tracking.records import records_of

pytestmark = pytest.mark.slow

FIGURES = ["difference", "low", "high", "verdict"]


@pytest.fixture
def here(finished: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The finished project as the working folder, as its results name images and masks by paths from there."""
    monkeypatch.chdir(finished.folder)
    return finished


def test_methods_of_a_run_differ_as_its_own_comparisons_say(here: Project) -> None:
    own = COMPARISONS.read(here.result("t/tables/comparisons.csv"))
    pairs = sorted({(row["other"], row["method"]) for row in rows_of(own)})
    metrics = sorted(set(own["metric"]))
    found = compare_runs(Path("results/t"), Path("results/t"), methods=pairs, metrics=metrics).frame
    assert set(found["replicates"]) == {"stored"}
    names = {"method": "other", "other": "method"}  # the second run's method is the one that wins or loses
    merged = found.rename(columns=names).merge(own, on=["metric", "category", "method", "other"], suffixes=("", "_own"))
    assert len(merged) == len(found) == len(own[own["category"] != "mean"])
    for name in FIGURES:
        assert merged[name].tolist() == pytest.approx(merged[f"{name}_own"].tolist(), abs=2e-6)


@pytest.mark.parametrize("refiner", ["none", "guided"])
def test_results_that_are_measured_anew_are_those_that_the_run_measured(
    here: Project, tmp_path: Path, refiner: str
) -> None:
    other = Path(shutil.copytree("results/t", tmp_path / "other"))
    for path in other.glob("ring/metrics/*.json"):
        document = read_json(path)
        document["provenance"]["params"]["options"]["seed"] = 5  # as if its replicates were drawn otherwise
        write_json(path, document)
    options = {"methods": [("self_similarity", "memory_bank")], "refiners": (refiner, refiner), "metrics": ["all"]}
    stored = compare_runs(Path("results/t"), Path("results/t"), **options)
    anew = compare_runs(Path("results/t"), other, **options)
    assert set(anew.frame["replicates"]) == {"anew"}
    pd.testing.assert_frame_equal(anew.frame.drop(columns="replicates"), stored.frame.drop(columns="replicates"))
    assert len(stored.frame) > 10


def test_parameters_metrics_and_files_are_told_to_a_tracker(here: Project) -> None:
    records = records_of(Path("results/t"))
    assert [record.name for record in records.methods] == list(
        dict.fromkeys(METRICS.read(here.result("t/tables/metrics.csv"))["method"])
    )
    bank = next(record for record in records.methods if record.name == "memory_bank")
    expected = {"backbone": "embedded", "backbone.resolution": 64, "setting": "few-shot-2", "evaluation.bootstrap": 50}
    assert expected.items() <= bank.parameters.items()
    assert bank.parameters["scorer.params.shots"] == SMALL["methods"]["memory_bank"]["params"]["shots"]
    table = METRICS.read(here.result("t/tables/metrics.csv"))
    row = next(
        row
        for row in rows_of(table)
        if (row["category"], row["method"], row["refiner"]) == ("mean", "memory_bank", "none")
    )
    for name in ("image_auroc", "image_auroc_low", "aupro", "aupro_high"):
        assert bank.metrics[name] == row[name]
    assert {"ring/aupro", "mask_f1.guided", "ring/mask_f1.guided", "seconds_per_image"} <= bank.metrics.keys()
    assert [path.name for path in bank.files["plots/ring"]] == ["memory_bank.gallery.png"]
    shared = {folder: {path.name for path in paths} for folder, paths in records.whole.files.items()}
    assert {"metrics.csv", "metrics.md", "cost.csv"} <= shared["tables"]
    assert shared[""] == {"report.html"}
    assert shared["plots/ring"] == {"curves.png", "histograms.png"}
