"""decisions.csv, and what the tables to read say of decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation_files import Run, decision_document, draws_of, mask_document, measured_document, score_document
from zsad.names import ALL_METRICS, MASK_METRICS
from zsad.tables.collect_tables import collect_tables
from zsad.tables.csv_tables import DECISIONS
from zsad.tables.decisions_table import decisions_table
from zsad.tables.missing import MissingResult
from zsad.tables.table import without_unknown


def document(category: str, method: str, value: float = 0.8, *, group: str = "", **decision: Any) -> dict[str, Any]:
    """An evaluation of which the decisions have an F1 of 0.5, find 0.9 and have 0.2 of false alarms."""
    made = score_document(category, method, value, group=group)
    values = made["metrics"] | {"decision_f1": 0.5, "decision_recall": 0.9, "decision_fpr": 0.2}
    return made | measured_document(values, category, 0.02) | {"decision": decision_document(**decision)}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path).collect(
        [
            document("tile", "bank", called=3, images=12),
            document("tile", "mutual", 0.6, rule="robust_tail", measure="", nominal=None, called=0, images=12),
            document("brick", "bank", 0.4, called=5, images=8, remarks=["Four references are few."]),
            document("brick", "mutual", rule="robust_tail", measure="", nominal=None, called=8, images=8),
        ],
        [mask_document("tile", "bank", 0.6), mask_document("brick", "bank", 0.3)],
    )


def test_there_is_a_row_a_category_and_method_and_means_last(run: Run) -> None:
    rows = run.rows("decisions_csv")
    assert tuple(rows[0]) == tuple(DECISIONS.columns)
    assert [(row["category"], row["method"], row["called"], row["images"]) for row in rows] == [
        ("tile", "bank", "3", "12"),
        ("tile", "mutual", "0", "12"),
        ("brick", "bank", "5", "8"),
        ("brick", "mutual", "8", "8"),
        ("mean", "bank", "8", "20"),
        ("mean", "mutual", "8", "20"),
    ]
    assert [(row["rule"], row["measure"], row["nominal"]) for row in rows[::5]] == [
        ("conformal", "p_value", "0.05"),
        ("robust_tail", "", ""),
    ]
    assert [row["remarks"] for row in rows] == ["", "", "Four references are few.", "", "Four references are few.", ""]
    assert [row["decision_ratio"] for row in rows[::2]] == ["0.800000", "0.400000", "0.600000"]
    assert {(row["decision_fpr"], row["decision_recall"]) for row in rows} == {("0.200000", "0.900000")}


def test_figures_are_those_of_metrics_without_a_refiner(run: Run) -> None:
    of_metrics = {(row["category"], row["method"]): row for row in run.rows("metrics_csv") if row["refiner"] == "none"}
    for row in run.rows("decisions_csv"):
        whole = of_metrics[row["category"], row["method"]]
        for name in ("decision_fpr", "decision_recall", "decision_f1", "decision_ratio", "mask_ratio"):
            assert row[name] == whole[name]


def test_a_mean_over_several_rules_names_them_and_promises_nothing_if_one_does_not(tmp_path: Path) -> None:
    documents = [document("tile", "bank"), document("brick", "bank", rule="mebin", nominal=None)]
    mean = Run(tmp_path).collect(documents).rows("decisions_csv")[-1]
    assert (mean["rule"], mean["nominal"], mean["categories"]) == ("conformal, mebin", "", "2")
    documents[1]["decision"] = decision_document(nominal=0.15)
    assert Run(tmp_path).collect(documents).rows("decisions_csv")[-1]["nominal"] == "0.1"


def test_seeds_have_a_row_each_and_a_mean_together(tmp_path: Path) -> None:
    documents = [
        document(category, f"bank-seed{seed}", value, group="bank", called=called, images=10)
        for category, value in (("tile", 0.8), ("brick", 0.4))
        for seed, called in ((0, 3), (1, 4))
    ]
    rows = Run(tmp_path).collect(documents).rows("decisions_csv")
    found = {(row["category"], row["method"]): (row["called"], row["images"], row["seeds"]) for row in rows}
    assert found["tile", "bank-seed1"] == ("4", "10", "1")
    assert found["tile", "bank"] == ("3.5", "10", "2")
    assert found["mean", "bank-seed1"] == ("8", "20", "1")
    assert found["mean", "bank"] == ("7", "20", "2")


def test_a_missing_result_has_its_names_and_leaves_the_mean_without_figures(run: Run) -> None:
    names = dict.fromkeys(("dataset", "backbone", "setting", "group"), "x") | {"protocol": "native"}
    path = run.arguments["score_metrics"][2]
    collect_tables(
        **run.arguments | {"mask_metrics": [], "mask_draws": []},
        missing={path: MissingResult({**names, "category": "brick", "method": "bank"}, "score_images failed")},
    )
    rows = {(row["category"], row["method"]): row for row in run.rows("decisions_csv")}
    for place in (("brick", "bank"), ("mean", "bank")):
        row = rows[place]
        assert {row[name] for name in ("rule", "called", "images", "decision_f1", "seeds", "remarks")} == {""}
    assert rows["tile", "bank"]["called"] == "3"
    line = next(line for line in run.text("markdown").splitlines() if line.startswith("| brick | x | bank"))
    assert line.count("missing") == 7


def test_without_a_label_it_says_how_many_are_called_defective(tmp_path: Path) -> None:
    unlabelled = score_document("tile", "mutual", None) | {"decision": decision_document(called=4, images=9)}
    run = Run(tmp_path).collect([unlabelled])
    for row in run.rows("decisions_csv"):
        assert (row["called"], row["images"], row["nominal"]) == ("4", "9", "0.05")
        assert {row[name] for name in ("decision_fpr", "decision_f1", "decision_ratio", "mask_ratio")} == {"NaN"}
    table = without_unknown(decisions_table(DECISIONS.read(run.outputs["decisions_csv"])))
    assert table.header == ["category", "setting", "method", "rule", "nominal", "called"]


def test_good_images_alone_have_a_share_of_false_alarms_and_so_has_the_mean(tmp_path: Path) -> None:
    values = dict.fromkeys(ALL_METRICS) | {"decision_fpr": 0.25}
    good = score_document("brick", "bank", None) | measured_document(values, "brick", 0.01)
    run = Run(tmp_path).collect([document("tile", "bank"), good])
    assert [row["decision_fpr"] for row in run.rows("decisions_csv")] == ["0.200000", "0.250000", "0.225000"]
    assert [row["decision_f1"] for row in run.rows("decisions_csv")] == ["0.500000", "NaN", "0.500000"]
    mean = run.rows("metrics_csv")[-1]
    assert (mean["decision_fpr"], mean["categories"]) == ("0.225000", "1")
    low, high = np.percentile(0.225 + (0.02 * draws_of("tile") + 0.01 * draws_of("brick")) / 2, [2.5, 97.5])
    assert (float(mean["decision_fpr_low"]), float(mean["decision_fpr_high"])) == pytest.approx((low, high), abs=1e-6)


def test_masks_of_a_refiner_are_compared_with_the_best_of_the_map_draw_by_draw(run: Run) -> None:
    refined = {row["category"]: row for row in run.rows("metrics_csv") if row["refiner"] == "guided"}
    assert refined["tile"]["mask_ratio"] == "0.750000"  # 0.6 of 0.8
    assert refined["brick"]["mask_ratio"] == "0.750000"  # 0.3 of 0.4
    assert refined["mean"]["mask_ratio"] == "0.750000"
    assert refined["tile"]["decision_f1"] == "0.500000"
    draws = {name: draws_of(name) for name in ("tile", "brick")}
    ratios = {
        "tile": (0.6 + 0.02 * draws["tile"]) / (0.8 + 0.02 * draws["tile"]),
        "brick": (0.3 + 0.02 * draws["brick"]) / (0.4 + 0.02 * draws["brick"]),
    }
    ratios["mean"] = (ratios["tile"] + ratios["brick"]) / 2
    for name, drawn in ratios.items():
        limits = [float(refined[name][f"mask_ratio_{side}"]) for side in ("low", "high")]
        assert limits == pytest.approx(np.percentile(drawn, [2.5, 97.5]).tolist(), abs=1e-6)


def test_masks_without_draws_or_without_truth_have_a_ratio_as_far_as_it_is_known(tmp_path: Path) -> None:
    scored = document("tile", "bank") | {"draws": {}}
    unknown = score_document("brick", "bank", None)
    masks = [mask_document("tile", "bank", 0.6) | {"draws": {}}, mask_document("brick", "bank", None)]
    rows = [row for row in Run(tmp_path).collect([scored, unknown], masks).rows() if row["refiner"] == "guided"]
    assert [row["mask_ratio"] for row in rows] == ["0.750000", "NaN", "0.750000"]
    assert [row["mask_ratio_low"] for row in rows] == ["NaN"] * 3


def test_the_tables_to_read_mark_the_best_where_a_figure_by_itself_says_what_is_good(run: Run) -> None:
    text = run.text("markdown")
    section = text.split("## Decisions: images called")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| tile")]
    assert rows == [
        "| tile | zero-shot-single | bank | conformal | 5.0 | 20.0 | 90.0 | 50.0 | **80.0** | **80.0** | 3 of 12 |",
        "| tile | zero-shot-single | mutual | robust_tail | n/a | 20.0 | 90.0 | 50.0 | 60.0 | 60.0 | 0 of 12 |",
    ]
    assert "false alarms | found | image F1 | F1 / F1-max | SegF1 / F1-max | called" in section
    changed = [document("tile", "bank"), document("tile", "mutual")]
    for one, (fpr, recall) in zip(changed, ((0.0, 0.1), (0.4, 0.9)), strict=True):
        one["metrics"] |= {"decision_fpr": fpr, "decision_recall": recall}
    means = run.collect(changed).text("markdown").split("## Decisions: mean")[1].split("\n## ")[0]
    assert "**" not in means  # neither few false alarms nor many that are found say by themselves that a rule is good


def test_the_table_of_masks_says_how_near_each_comes_to_the_best(run: Run) -> None:
    section = run.text("markdown").split("## Masks at the label-free threshold")[1].split("\n## ")[0]
    assert "SegF1 / F1-max" in section
    assert section.count("| guided |") == 1
    assert len(next(line for line in section.splitlines() if "method" in line).split("|")) == 5 + len(MASK_METRICS) + 1
