"""The tables of kinds of defect, by hand and by plain loops."""

from __future__ import annotations

import csv
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from class_files import KINDS, class_evaluation, plain_coverage, plain_metrics
from zsad.errors import DataError
from zsad.files.csv_cells import decoded
from zsad.files.json_files import write_json
from zsad.names import CLASSIFICATION_METRICS
from zsad.tables.class_csv import classification_format, classification_frame, kinds_of
from zsad.tables.collect_classes import collect_classes
from zsad.tables.missing import MissingResult

OUTPUTS = {
    "classification_csv": "classification.csv",
    "metrics_csv": "classification_metrics.csv",
    "confusion_csv": "classification_confusion.csv",
    "markdown": "classification.md",
    "latex": "classification.tex",
    "checksums": "classification.sha256",
}
HOSTILE = ["=1+1", "a, b", "low", "x;=cmd", "x_low", "\tä", "'-1"]  # without |, which no kind may have
CAUSE = "classify_images by nearest failed"


class Run:
    """The tables of some evaluations, in a folder."""

    def __init__(self, folder: Path, documents: Sequence[Mapping[str, Any]], left_out: Sequence[int] = ()) -> None:
        self.documents = documents
        self.paths = [folder / f"{number}.json" for number in range(len(documents))]
        for path, document in zip(self.paths, documents, strict=True):
            write_json(path, document)
        missing = {}
        for number in left_out:
            self.paths[number].unlink()
            names = {name: documents[number][name] for name in ("category", "classifier", "backbone")}
            missing[self.paths[number]] = MissingResult(names, CAUSE)
        self.outputs = {name: folder / file for name, file in OUTPUTS.items()}
        self.arguments: dict[str, Any] = {"evaluations": self.paths, "missing": missing, **self.outputs}
        collect_classes(**self.arguments)

    def rows(self, name: str = "metrics_csv") -> list[dict[str, str]]:
        with open(self.outputs[name], encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return [{decoded(column): decoded(cell) for column, cell in row.items()} for row in rows]

    def row(self, category: str, classifier: str = "nearest", shots: str = "5") -> dict[str, str]:
        wanted = (category, classifier, shots)
        return next(row for row in self.rows() if (row["category"], row["classifier"], row["shots"]) == wanted)

    def section(self, title: str) -> str:
        """A table of the document in Markdown."""
        return self.outputs["markdown"].read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]


def by_shots(document: Mapping[str, Any], shots: int | str) -> Mapping[str, Any]:
    return next(one for one in document["by_shots"] if one["shots"] == shots)


def test_each_query_of_the_draw_that_is_shown_has_a_row(tmp_path: Path) -> None:
    document = class_evaluation()
    rows = Run(tmp_path, [document]).rows("classification_csv")
    draw = document["draws"][document["shown"]]
    assert [row["image_id"] for row in rows] == [image["image_id"] for image in document["images"]]
    assert {(row["setting"], row["seed"], row["support"]) for row in rows} == {(draw["setting"], "0", "test")}
    for row, image in zip(rows, document["images"], strict=True):
        assert (row["true"], row["predicted"]) == (image["true"], image["predicted"])
        assert row["prediction_set"] == "|".join(image["prediction_set"])
        assert row["set_size"] == str(len(image["prediction_set"]))
        assert row["abstained"] == str(int(not image["prediction_set"]))
        for kind in KINDS:
            assert float(row[f"probability {kind}"]) == pytest.approx(image["probabilities"][kind], rel=1e-9)
            assert row[f"nearest {kind}"] == image["nearest"][kind]["image_id"]
            assert float(row[f"similarity {kind}"]) == pytest.approx(image["nearest"][kind]["similarity"], rel=1e-9)


def test_a_kind_of_another_category_is_empty(tmp_path: Path) -> None:
    run = Run(
        tmp_path, [class_evaluation("tile", kinds=("crack", "good")), class_evaluation("cable", kinds=("cut", "good"))]
    )
    for row in run.rows("classification_csv"):
        own, other = ("crack", "cut") if row["category"] == "tile" else ("cut", "crack")
        for what in ("probability", "nearest", "similarity"):
            assert row[f"{what} {own}"]
            assert row[f"{what} {other}"] == ""
    tile, cable = run.row("tile"), run.row("cable")
    assert (tile["coverage cut"], cable["coverage crack"]) == ("", "")
    assert tile["coverage crack"] == run.row("mean")["coverage crack"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_kinds_with_any_characters_come_back_and_are_no_formulas(tmp_path: Path, separator: str) -> None:
    document = class_evaluation("=tile", "-nearest", kinds=sorted(HOSTILE), unknown_kinds=["+unknown"], source="@mine")
    run = Run(tmp_path, [document])
    for row, image in zip(run.rows("classification_csv"), document["images"], strict=True):
        assert (row["category"], row["true"], row["predicted"]) == ("=tile", image["true"], image["predicted"])
        assert {kind: row[f"nearest {kind}"] for kind in HOSTILE} == {
            kind: image["nearest"][kind]["image_id"] for kind in HOSTILE
        }
    metrics = run.row("=tile", "-nearest")
    coverage = by_shots(document, 5)["coverage_by_kind"]
    for kind in HOSTILE:
        assert float(metrics[f"coverage {kind}"]) == pytest.approx(coverage[kind]["value"], abs=1e-6)
        assert float(metrics[f"coverage_low {kind}"]) == pytest.approx(coverage[kind]["low"], abs=1e-6)
    for name in ("classification_csv", "metrics_csv", "confusion_csv"):
        with run.outputs[name].open(encoding="utf-8", newline="") as stream:
            cells = [cell for row in csv.reader(stream, delimiter=separator) for cell in row]
        assert not [cell for cell in cells if cell.lstrip(" \"'")[:1] in set("=+-@") and cell[0] != "'"]


def test_the_images_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    document = class_evaluation(kinds=sorted(HOSTILE))
    run = Run(tmp_path, [document])
    read = classification_format(kinds_of([document])).read(run.outputs["classification_csv"])
    assert read.equals(classification_frame([document]))


def test_metrics_are_those_of_each_category_classifier_and_number_of_shots(tmp_path: Path) -> None:
    documents = [
        class_evaluation(category, classifier, shots=(1, 5, "all"), right=0.6)
        for category in ("tile", "brick")
        for classifier in ("nearest", "ridge")
    ]
    rows = Run(tmp_path, documents).rows()
    assert [(row["category"], row["classifier"], row["shots"], row["setting"]) for row in rows] == [
        (category, classifier, shots, f"few-shot-defects-{shots}")
        for category in ("tile", "brick", "mean")
        for classifier in ("nearest", "ridge")
        for shots in ("1", "5", "all")
    ]
    expected = [one for document in documents for one in document["by_shots"]]
    for row, one in zip(rows, expected, strict=False):
        for metric in CLASSIFICATION_METRICS:
            columns = (metric, f"{metric}_low", f"{metric}_high", f"{metric}_deviation")
            assert [float(row[column]) for column in columns] == pytest.approx(
                list(one["metrics"][metric].values()), abs=1e-6
            )
        assert (row["seeds"], row["queries"], row["measured"], row["unknown"]) == ("2", "24", "18", "6")


def test_metrics_agree_with_the_images_in_the_list(tmp_path: Path) -> None:
    """Of one seed both tables are of the same images, so that anybody can count again."""
    run = Run(tmp_path, [class_evaluation(seeds=(0,), right=0.6)])
    images = run.rows("classification_csv")
    truth, predicted = ([image[name] for image in images] for name in ("true", "predicted"))
    sets = [image["prediction_set"].split("|") if image["prediction_set"] else [] for image in images]
    row = run.row("tiles")
    for metric, value in plain_metrics(truth, predicted, sets, KINDS).items():
        assert float(row[metric]) == pytest.approx(value, abs=1e-6)
        assert row[f"{metric}_deviation"] == ""
    for kind, value in plain_coverage(truth, sets, KINDS).items():
        assert float(row[f"coverage {kind}"]) == pytest.approx(value, abs=1e-6)


def test_a_mean_has_the_limits_of_independent_categories_and_the_deviation_of_its_seeds(tmp_path: Path) -> None:
    seeds = (0, 1, 2)
    documents = [class_evaluation(name, seeds=seeds, right=0.6) for name in ("tile", "brick", "screw")]
    mean = Run(tmp_path, documents).row("mean")
    for metric in CLASSIFICATION_METRICS:
        summaries = [by_shots(document, 5)["metrics"][metric] for document in documents]
        value = sum(one["value"] for one in summaries) / 3
        below = math.sqrt(sum((one["value"] - one["low"]) ** 2 for one in summaries)) / 3
        above = math.sqrt(sum((one["high"] - one["value"]) ** 2 for one in summaries)) / 3
        of_seeds = [
            sum(
                draw["metrics"][metric]
                for document in documents
                for draw in document["draws"]
                if (draw["seed"], draw["shots"]) == (seed, 5)
            )
            / 3
            for seed in seeds
        ]
        columns = (metric, f"{metric}_low", f"{metric}_high", f"{metric}_deviation")
        expected = [value, value - below, value + above, statistics.stdev(of_seeds)]
        assert [float(mean[column]) for column in columns] == pytest.approx(expected, abs=1e-6)
    assert (mean["categories"], mean["queries"]) == ("3", "72")


def test_a_mean_is_over_the_categories_that_have_a_value_and_says_so(tmp_path: Path) -> None:
    labelled, unlabelled = class_evaluation("tile"), class_evaluation("belt", labelled=False)
    run = Run(tmp_path, [labelled, unlabelled])
    tile, belt, mean = (run.row(category) for category in ("tile", "belt", "mean"))
    assert mean["accuracy"] == tile["accuracy"]
    assert (belt["accuracy"], belt["coverage"], belt["coverage crack"]) == ("NaN", "NaN", "")
    assert float(mean["set_size"]) == pytest.approx((float(tile["set_size"]) + float(belt["set_size"])) / 2, abs=1e-6)
    assert (tile["categories"], belt["categories"], mean["categories"]) == ("1", "0", "1")
    assert "nearest: the mean accuracy is over 1 of 2 categories." in run.section("Notes")


def test_without_labels_only_sets_are_told(tmp_path: Path) -> None:
    run = Run(tmp_path, [class_evaluation("belt", labelled=False)])
    images = run.rows("classification_csv")
    assert {(image["true"], image["support"]) for image in images} == {("", "catalogue")}
    row = run.row("belt")
    known = {metric for metric in CLASSIFICATION_METRICS if row[metric] != "NaN"}
    assert known == {"set_size", "singletons", "abstained"}
    assert run.rows("confusion_csv") == []
    header = run.section("belt: few-shot-defects-5").splitlines()[1]
    assert (
        header
        == "| regions | classifier | backbone | embedding | kinds | images | set size | single answers | abstained |"
    )
    value, low, high, deviation = by_shots(run.documents[0], 5)["metrics"]["set_size"].values()
    size = f" | 3 | 24 | {value:.2f} ± {deviation:.2f} ({low:.2f}–{high:.2f}) | "
    assert size in run.section("belt: few-shot-defects-5")
    assert r"\caption{belt: few-shot-defects-5" in run.outputs["latex"].read_text(encoding="utf-8")


def test_every_number_of_shots_has_a_table_of_its_own_in_order(tmp_path: Path) -> None:
    run = Run(tmp_path, [class_evaluation("tile", shots=("all", 10, 5))])
    text = run.outputs["markdown"].read_text(encoding="utf-8")
    titles = [line for line in text.splitlines() if line.startswith("## ") and "Notes" not in line]
    assert titles == [f"## tile: few-shot-defects-{shots}" for shots in (5, 10, "all")]
    for shots in (5, 10, "all"):
        value = 100 * by_shots(run.documents[0], shots)["metrics"]["accuracy"]["value"]
        assert f" {value:.1f} ± " in run.section(f"tile: few-shot-defects-{shots}")


def test_regions_from_the_ground_truth_stand_apart_and_take_no_prize(tmp_path: Path) -> None:
    truth, weak, strong = 1.0, 0.3, 0.7
    run = Run(
        tmp_path,
        [
            class_evaluation("tile", "by_truth", right=truth, embedding="region", regions="ground truth"),
            class_evaluation("tile", "by_map", right=strong, embedding="region", regions="predicted"),
            class_evaluation("tile", "whole", right=weak),
        ],
    )
    lines = run.section("tile: few-shot-defects-5").splitlines()[3:6]
    assert [line.split(" | ")[:2] for line in lines] == [
        ["| whole image", "whole"],
        ["| predicted regions", "by_map"],
        ["| ground-truth regions", "by_truth"],
    ]
    assert ["**" in line for line in lines] == [False, True, False]
    assert {row["classifier"]: row["regions"] for row in run.rows()} == {
        **{"by_truth": "ground truth", "by_map": "predicted", "whole": "image"}
    }


def test_figures_of_other_images_or_kinds_do_not_compete(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        [
            class_evaluation("tile", "three", right=0.4),
            class_evaluation("tile", "two", kinds=("crack", "good"), right=1.0),
            class_evaluation("tile", "more", each=7, right=0.9),
        ],
    )
    assert "**" not in run.section("tile: few-shot-defects-5")


def test_categories_stand_side_by_side_and_a_classifier_may_lack_one(tmp_path: Path) -> None:
    documents = [class_evaluation("tile"), class_evaluation("brick"), class_evaluation("tile", "ridge", right=1.0)]
    run = Run(tmp_path, documents)
    values = [100 * by_shots(document, 5)["metrics"]["accuracy"]["value"] for document in documents]
    lines = run.section("Accuracy by category: few-shot-defects-5").splitlines()
    assert f"| tile | {values[0]:.1f} | **{values[2]:.1f}** |" in lines
    assert f"| brick | {values[1]:.1f} |  |" in lines
    assert "ridge: the mean accuracy is over 1 of 2 categories." in run.section("Notes")


def test_what_is_taken_for_what_is_counted_over_the_seeds(tmp_path: Path) -> None:
    document = class_evaluation(right=0.5)
    rows = [row for row in Run(tmp_path, [document]).rows("confusion_csv") if row["shots"] == "5"]
    matrix = by_shots(document, 5)["confusion"]
    true_kinds = [*KINDS, "break"]
    assert [(row["true"], row["predicted"]) for row in rows] == list(itertools.product(true_kinds, KINDS))
    for row in rows:
        of_kind = matrix[true_kinds.index(row["true"])]
        images = of_kind[KINDS.index(row["predicted"])]
        assert row["images"] == str(images)
        assert float(row["share"]) == pytest.approx(images / sum(of_kind), abs=1e-6)


def test_a_result_that_was_not_made_has_names_alone_and_so_has_its_mean(tmp_path: Path) -> None:
    documents = [
        class_evaluation(category, classifier) for category in ("tile", "brick") for classifier in ("nearest", "ridge")
    ]
    run = Run(tmp_path, documents, left_out=[2])
    for row in (run.row("brick"), run.row("mean")):
        named = {name: cell for name, cell in row.items() if cell}
        assert named == {
            **{"category": row["category"], "classifier": "nearest", "backbone": "embedded", "embedding": "image"},
            **{"regions": "image", "setting": "few-shot-defects-5", "shots": "5"},
        }
    assert run.row("mean", "ridge")["accuracy"]
    assert [row["classifier"] for row in run.rows("classification_csv") if not row["image_id"]] == ["nearest"]
    assert "| whole image | nearest | embedded | image | missing | " in run.section(
        "Mean over categories: few-shot-defects-5"
    )
    assert f"missing: brick ({CAUSE})" in run.section("Notes")


def test_remarks_are_told_once_for_all_classifiers_that_share_them(tmp_path: Path) -> None:
    remark = "3 calibration images of crack are too few for alpha 0.1: every set holds it."
    run = Run(tmp_path, [class_evaluation("tile", name, remarks=[remark]) for name in ("nearest", "ridge")])
    assert f"- tile, nearest, ridge: {remark}" in run.section("Notes").splitlines()
    assert "- tile, nearest, ridge: Without examples, so never predicted: break." in run.section("Notes").splitlines()
    assert run.row("tile")["remarks"] == remark


def test_the_same_evaluations_give_the_same_bytes_and_checksums_of_them(tmp_path: Path) -> None:
    run = Run(tmp_path, [class_evaluation("tile"), class_evaluation("brick")])
    first = [path.read_bytes() for path in run.outputs.values()]
    collect_classes(**run.arguments)
    assert [path.read_bytes() for path in run.outputs.values()] == first
    listed = [line.split()[1] for line in run.outputs["checksums"].read_text().splitlines()]
    assert listed == [file for file in OUTPUTS.values() if not file.endswith(".sha256")]


def test_a_damaged_evaluation_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    document = class_evaluation()
    write_json(tmp_path / "half.json", {name: value for name, value in document.items() if name != "by_shots"})
    with pytest.raises(DataError, match=r"half.json is not an evaluation file \(it lacks by_shots\)"):
        collect_classes(evaluations=[tmp_path / "half.json"], classification_csv=tmp_path / "classification.csv")
    assert not (tmp_path / "classification.csv").exists()
