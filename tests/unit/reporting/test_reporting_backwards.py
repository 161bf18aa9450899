"""A method that ranks backwards is named with what it cannot see; one that may only seem to is not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from paths import REPOSITORY
from reporting_files import METRICS, evaluation_of, metrics_row, write_metrics
from zsad.data.manifest import ImageRecord
from zsad.refinement.registry import MODULATIONS
from zsad.reporting.evaluations import MethodKey
from zsad.reporting.results import one_row_a_method, read_metrics
from zsad.reporting.sections.metrics import backwards
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.tables.csv_tables import defect_types_frame

KEY = MethodKey("zero-shot-single", "self_similarity", "embedded")
BLIND_TO = {"self_similarity": "what repeats"}


def rows(tmp_path: Path, **values: float):
    return read_metrics(
        write_metrics(tmp_path / "metrics.csv", [metrics_row("cell", KEY.method, KEY.setting, **values)])
    )


def figures(metric: str, value: float, low: float, high: float) -> dict[str, float]:
    return {metric: value, f"{metric}_low": low, f"{metric}_high": high}


@pytest.mark.parametrize("metric", ["image_auroc", "pixel_auroc"])
def test_a_figure_below_chance_with_its_upper_limit_is_found(tmp_path, metric):
    (found,) = backwards(rows(tmp_path, **figures(metric, 0.2034, 0.13, 0.28)), BLIND_TO)
    assert found.method == "self_similarity"
    assert found.value == "20.3 (13.0–28.0)"
    assert found.ranked == metric.split("_")[0] + "s"
    assert found.blind_to == "what repeats"


@pytest.mark.parametrize(
    "values",
    [
        figures("image_auroc", 0.42, 0.30, 0.55),  # it may be chance
        figures("image_auroc", 0.5, 0.5, 0.5),  # it abstains
        {"image_auroc": 0.2},  # without limits nobody knows
        figures("image_auroc", 0.9, 0.8, 0.95),
        figures("image_ap", 0.2, 0.1, 0.3),  # chance is another number there
        figures("aupro", 0.2, 0.1, 0.3),
        figures("pixel_auroc", math.nan, math.nan, math.nan),
    ],
)
def test_what_chance_explains_or_is_no_rank_is_not(tmp_path, values):
    kept = {name: value for name, value in values.items() if not math.isnan(value)}
    assert backwards(rows(tmp_path, **kept), BLIND_TO) == []


def test_refiners_do_not_repeat_it(tmp_path):
    made = [
        metrics_row("cell", KEY.method, KEY.setting, refiner, **figures("image_auroc", 0.2, 0.1, 0.3))
        for refiner in ("none", "guided", "grabcut")
    ]
    found = backwards(one_row_a_method(read_metrics(write_metrics(tmp_path / "metrics.csv", made))), BLIND_TO)
    assert len(found) == 1


def test_each_type_of_defect_is_looked_at_by_itself():
    records = [ImageRecord(f"{i}", "", "test", 1, kind, "", 8, 8, "") for i, kind in enumerate(("global", "local"))]
    result = evaluation_of(records, [0.1, 0.2], category="textile", method=KEY.method, setting=KEY.setting)
    first, second = result["by_type"]
    first |= {"metrics": dict.fromkeys(METRICS, 0.1), "confidence": {metric: [0.05, 0.2] for metric in METRICS}}
    assert second["metrics"]["image_auroc"] > 0.5
    found = backwards(defect_types_frame([result]), BLIND_TO)
    assert {(one.defect_type, one.ranked) for one in found} == {("global", "images"), ("global", "pixels")}


def test_every_method_says_what_it_cannot_see():
    for registry in (SCORERS, FUSIONS, MODULATIONS):
        for name in registry.names():
            blind_to = registry.load(name).blind_to
            assert len(blind_to.split()) > 5, name
            assert blind_to[0].islower(), name  # it completes a sentence
            assert not blind_to.endswith("."), name


def test_the_docs_say_of_every_method_what_its_class_says():
    text = (REPOSITORY / "docs" / "methods.md").read_text(encoding="utf-8")
    for registry in (SCORERS, FUSIONS, MODULATIONS):
        for name in registry.names():
            assert f"| `{name}` | {registry.load(name).blind_to} |" in text
