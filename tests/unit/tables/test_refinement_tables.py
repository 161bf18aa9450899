"""The tables of refinement and of the oracle: refinement.csv, the oracle in metrics.csv, and what is read from them."""

import math

import pytest

from evaluation_files import Run, mask_document, measured_document, score_document
from reporting_files import metrics_row, refinement_row, write_metrics, write_refinement
from zsad.errors import DataError
from zsad.evaluation.refinement import COUNTS, VALUES
from zsad.files.draws import read_draws
from zsad.files.json_files import read_json
from zsad.names import ALL_TYPES, MASK_METRICS, ORACLE, RANKING_METRICS
from zsad.reporting.results import read_metrics, read_refinement
from zsad.tables.csv_tables import REFINEMENT
from zsad.tables.refinement_table import ceiling_table, reasons_of, refinement_table
from zsad.tables.table import change, without_unknown

KEYS = ("category", "method", "refiner", "defect_type")


def effect(defect_type, before, after, *, regions=(10, 0, 4), reasons=None, **values):
    """An effect whose overlaps are ``before`` and ``after``; None for unknown ones."""
    overlaps = {name: before if name.endswith("before") else after for name in VALUES if "_" in name}
    shares = {"helped": None if after is None else 0.5, "harmed": None if after is None else 0.25}
    counts = {"images": 8, "defective": 0 if after is None else 6, "good": 2}
    counts |= dict(zip(("regions_found", "regions_prompted", "regions_accepted"), regions, strict=True))
    return {
        "defect_type": defect_type,
        "values": overlaps | shares | values,
        "counts": counts,
        "reasons": {"too large": 4, "empty": 2} if reasons is None else reasons,
    }


def refined(category, method, before, after, refiner="guided", **options):
    """Masks of a method with two types of defect."""
    effects = [effect(name, before, after, **options) for name in (ALL_TYPES, "scratch", "good")]
    return mask_document(category, method, after, refiner) | {"effects": effects}


def oracle(category, value, segmenter="sam-vit-b"):
    unknown = {name: None for name in VALUES if name.endswith("before") or name in ("helped", "harmed")}
    return {
        "dataset": "demo",
        "category": category,
        "backbone": segmenter,
        "method": ORACLE,
        "setting": ORACLE,
        "refiner": segmenter,
        "protocol": "native",
        **measured_document(dict.fromkeys(MASK_METRICS, value), category, 0.02),
        "effects": [effect(ALL_TYPES, None, value, regions=(9, 9, 9), reasons={}, **unknown)],
        "notes": [],
    }


class RefinementRun(Run):
    """A run whose refinement.csv is of interest."""

    def rows(self, name="refinement_csv"):
        return super().rows(name)

    def row(self, *keys):
        """The one row of refinement.csv with these first keys."""
        (row,) = [row for row in self.rows() if tuple(row[key] for key in KEYS[: len(keys)]) == keys]
        return row

    def section(self, title):
        """A section of the tables to read."""
        return self.text("markdown").split(f"## {title}")[1].split("\n## ")[0]

    def documents(self, kind):
        """What was collected, in order."""
        columns = zip(self.arguments[f"{kind}_metrics"], self.arguments[f"{kind}_draws"], strict=True)
        return [read_json(path) | {"draws": read_draws(draws)} for path, draws in columns]


@pytest.fixture
def run(tmp_path):
    return RefinementRun(tmp_path)


@pytest.fixture
def full_run(run):
    """Two categories in an order that is not alphabetical, two methods, two refiners, and the oracle."""
    scores = [
        score_document(category, method, 0.8, setting=setting)
        for category in ("tile", "brick")
        for method, setting in (("self_similarity", "zero-shot-single"), ("mutual", "zero-shot-batch"))
    ]
    values = {"tile": (0.4, 0.6), "brick": (0.2, 0.1)}
    masks = [
        refined(category, method, *values[category], refiner=refiner)
        for category in ("tile", "brick")
        for method in ("self_similarity", "mutual")
        for refiner in ("guided", "sam")
    ]
    return run.collect(scores, masks, [oracle("tile", 0.7), oracle("brick", 0.5)])


def test_refinement_has_a_row_a_category_method_refiner_and_type_of_defect_and_means_last(full_run):
    methods = [(method, refiner) for method in ("self_similarity", "mutual") for refiner in ("guided", "sam")]
    expected = []
    for category in ("tile", "brick"):
        expected += [(category, *names, kind) for names in methods for kind in (ALL_TYPES, "scratch", "good")]
        expected += [(category, ORACLE, "sam-vit-b", ALL_TYPES)]
    expected += [("mean", *names, ALL_TYPES) for names in [*methods, (ORACLE, "sam-vit-b")]]
    assert [tuple(row[key] for key in KEYS) for row in full_run.rows()] == expected
    assert tuple(full_run.rows()[0]) == tuple(REFINEMENT.columns)


def test_a_mean_of_refinement_weighs_categories_alike_and_sums_what_is_counted(full_run):
    mean = full_run.row("mean", "mutual", "sam")
    assert (mean["image_iou_before"], mean["image_iou_after"]) == ("0.300000", "0.350000")
    assert (mean["images"], mean["regions_found"], mean["regions_accepted"]) == ("16", "20", "8")
    assert mean["reasons"] == "too large: 8; empty: 4"
    assert (mean["categories"], mean["setting"], mean["backbone"]) == ("2", "zero-shot-batch", "embedded")


def test_a_category_without_truth_is_nan_and_left_out_of_the_mean(run):
    scores = [score_document("tile", "mutual", 0.8), score_document("brick", "mutual", None)]
    run.collect(scores, [refined("tile", "mutual", 0.4, 0.6), refined("brick", "mutual", None, None)])
    assert run.row("brick", "mutual", "guided", ALL_TYPES)["image_iou_after"] == "NaN"
    mean = run.row("mean", "mutual")
    assert (mean["image_iou_after"], mean["categories"]) == ("0.600000", "1")
    assert mean["regions_found"] == "20"


def test_without_any_truth_every_mean_is_nan(run):
    run.collect(
        [score_document("tile", "mutual", None)], [refined("tile", "mutual", None, None)], [oracle("tile", None)]
    )
    for row in run.rows():
        assert {row[name] for name in VALUES} == {"NaN"}
        assert row["categories"] == "0"
    assert "With boxes from the ground truth" not in run.text("markdown")


def test_without_refiners_the_table_is_empty_and_nothing_is_said_of_refinement(run):
    run.collect([score_document("tile", "mutual", 0.8)])
    assert run.rows() == []
    assert "Refinement" not in run.text("markdown")


def test_the_oracle_has_masks_and_no_scores_and_its_own_mean(full_run):
    rows = [row for row in full_run.rows("metrics_csv") if row["method"] == ORACLE]
    assert [(row["category"], row["mask_iou"]) for row in rows] == [
        *(("tile", "0.700000"), ("brick", "0.500000"), ("mean", "0.600000")),
    ]
    for row in rows:
        assert (row["setting"], row["backbone"], row["refiner"]) == (ORACLE, "sam-vit-b", "sam-vit-b")
        assert {row[metric] for metric in (*RANKING_METRICS, "decision_f1")} == {"NaN"}
        assert (row["aupro_low"], float(row["mask_iou_low"]) < float(row["mask_iou"])) in (("", True), ("NaN", True))
    assert (rows[-1]["categories"], rows[-1]["pixel_categories"]) == ("0", "2")


def test_the_oracle_changes_no_row_of_a_method(full_run):
    def of_methods(rows):
        return [row for row in rows if row["method"] != ORACLE]

    with_oracle = {name: of_methods(full_run.rows(name)) for name in ("metrics_csv", "refinement_csv")}
    full_run.collect(*map(full_run.documents, ("score", "mask")))
    for name, rows in with_oracle.items():
        assert full_run.rows(name) == rows


def test_the_tables_to_read_show_before_and_after_and_the_ceiling_apart(full_run):
    section = full_run.section("Refinement")
    assert f"| zero-shot-batch | mutual | sam {'| 30.0 → 35.0 (+5.0) ' * 4}| 50.0 | 25.0 | 40.0 (of 20) |" in section
    assert "more than 0.01" in section
    assert ORACLE not in section
    ceiling = full_run.section("With boxes from the ground truth")
    assert "An upper limit, not a method" in ceiling
    assert "| sam-vit-b | 60.0 | 60.0 | 60.0 | 60.0 |" in ceiling
    for title in ("Images", "Pixels", "Masks at the", "Decisions: mean", "By category: image AUROC"):
        assert ORACLE not in full_run.section(title)
        assert "sam-vit-b" not in full_run.section(title)
    latex = full_run.text("latex")
    assert r"mutual & sam & 30.0 $\to$ 35.0 (+5.0) &" in latex


def test_a_method_with_several_seeds_has_the_mean_over_them_too(run):
    scores, masks = [], []
    for seed, after in enumerate((0.5, 0.7)):
        name = f"memory_bank-seed{seed}"
        scores.append(score_document("tile", name, 0.8, group="memory_bank"))
        masks.append(refined("tile", name, 0.4, after, regions=(10 + seed, 0, 4)))
    run.collect(scores, masks)
    together = run.row("tile", "memory_bank", "guided", "scratch")
    assert (together["image_iou_after"], together["seeds"], together["regions_found"]) == ("0.600000", "2", "10.5")
    assert run.row("mean", "memory_bank")["image_iou_after"] == "0.600000"
    assert r"memory_bank (2 seeds) | guided | 40.0 → 60.0" in run.section("Refinement")


def test_the_same_input_gives_the_same_bytes(full_run):
    first = {name: path.read_bytes() for name, path in full_run.outputs.items()}
    full_run.collect(*map(full_run.documents, ("score", "mask", "oracle")))
    assert {name: path.read_bytes() for name, path in full_run.outputs.items()} == first


def test_masks_without_effects_are_no_evaluation(run):
    document = {key: value for key, value in mask_document("tile", "mutual", 0.5).items() if key != "effects"}
    with pytest.raises(DataError, match=r"is not an evaluation file .*effects"):
        run.collect([score_document("tile", "mutual", 0.8)], [document])
    assert not run.outputs["refinement_csv"].exists()


# --- as the page reads them -----------------------------------------------------------------------------------------


def test_the_report_reads_the_table_that_the_evaluation_writes(full_run):
    rows = read_refinement(full_run.outputs["refinement_csv"])
    assert len(rows) == 3 * (2 * 2 + 1)
    assert set(rows) >= {*VALUES, *COUNTS}
    metrics = read_metrics(full_run.outputs["metrics_csv"])
    assert set(metrics["method"]) == {"self_similarity", "mutual"}


def test_a_line_says_what_changed_and_the_ceiling_stands_apart(tmp_path):
    row = {"image_iou_before": 0.41, "image_iou_after": 0.5, "helped": 0.5, "harmed": 0.125, "regions_accepted": 3}
    path = write_refinement(
        tmp_path / "refinement.csv",
        [
            refinement_row("mean", "mutual", "zero-shot-batch", "sam", regions_found=12, **row),
            refinement_row("mean", ORACLE, ORACLE, "sam-vit-b", image_iou_after=0.7),
            refinement_row("mean", "mutual", "zero-shot-batch", "sam", defect_type="scratch", image_iou_after=0.1),
        ],
    )
    rows = read_refinement(path)
    results = [
        {"method": "mutual", "refiner": "sam", "regions": {"reasons": {"a": 1, "b": 2, "c": 1, "d": 1}}},
        {"method": "mutual", "refiner": "sam", "regions": {"reasons": {"b": 2, "d": 2}}},
        {"method": "mutual", "refiner": "guided", "regions": {"reasons": {"x": 100}}},
    ]
    table = without_unknown(refinement_table(rows, reasons=reasons_of(results)))
    ((setting, method, refiner, iou, helped, harmed, accepted, why),) = table.rows
    assert (setting, method, refiner) == ("zero-shot-batch", "mutual", "sam")
    assert (iou.text, iou.beside, iou.direction) == ("41.0 → 50.0", "(+9.0)", "up")
    assert "image Dice" not in table.header  # of which nothing is known
    assert "normal marked" not in table.header
    assert (helped.text, harmed.text) == ("50.0", "12.5")
    assert (accepted.text, accepted.beside) == ("25.0", "(of 12)")
    assert why == "4 b, 3 d, 1 a, 1 for other reasons"
    ((segmenter, value, *others),) = ceiling_table(rows).rows
    assert (segmenter, value.text, {other.text for other in others}) == ("sam-vit-b", "70.0", {"n/a"})


def test_without_refiners_there_is_no_table(tmp_path):
    path = write_refinement(tmp_path / "refinement.csv", [])
    assert refinement_table(read_refinement(path)).rows == []


def test_a_table_of_metrics_is_no_table_of_refinement(tmp_path):
    path = write_metrics(tmp_path / "metrics.csv", [metrics_row("mean", "mutual", "zero-shot-batch")])
    with pytest.raises(DataError, match="is not a table of refinement"):
        read_refinement(path)


@pytest.mark.parametrize(
    ("before", "after", "text", "direction"),
    [
        (0.4, 0.45, "(+5.0)", "up"),
        (0.45, 0.4, "(−5.0)", "down"),
        (0.1234, 0.1236, "(+0.1)", "up"),
        (0.5, 0.5, "(+0.0)", ""),
        (math.nan, 0.5, "", ""),
    ],
)
def test_a_gain_is_the_difference_of_the_printed_figures(before, after, text, direction):
    found = change(before, after)
    assert (found.beside, found.direction) == (text, direction)
    assert change(before, after, less_is_better=True).direction == {"up": "down", "down": "up"}.get(direction, "")
