"""The tables of a run, by hand on two categories, two methods and one refiner."""

import numpy as np
import pytest

from evaluation_files import Run, draws_of, image, mask_document, score_document
from zsad.errors import DataError
from zsad.tables.collect_tables import collect_tables
from zsad.tables.csv_tables import IMAGES, METRICS
from zsad.tables.typeset import latex_text, markdown_text


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


@pytest.fixture
def full_run(run):
    """Categories and methods in an order that is not alphabetical."""
    return run.collect(
        [
            score_document("tile", "self_similarity", 0.8),
            score_document("tile", "mutual", 0.9, setting="zero-shot-batch"),
            score_document("brick", "self_similarity", 0.6),
            score_document("brick", "mutual", 0.7, setting="zero-shot-batch"),
        ],
        [
            mask_document(category, method, 0.6)
            for category in ("tile", "brick")
            for method in ("self_similarity", "mutual")
        ],
    )


def test_metrics_has_a_row_a_category_method_and_refiner_in_the_given_order_and_means_last(full_run):
    found = [(row["category"], row["method"], row["refiner"]) for row in full_run.rows()]
    assert found == [
        (category, method, refiner)
        for category in ("tile", "brick", "mean")
        for method in ("self_similarity", "mutual")
        for refiner in ("none", "guided")
    ]


def test_metrics_has_the_announced_columns(full_run):
    assert tuple(full_run.rows()[0]) == tuple(METRICS.columns)
    assert tuple(METRICS.columns)[:15] == (
        *("dataset", "category", "backbone", "method", "setting", "refiner", "protocol"),
        *("image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_ioumax"),
        "aupro",
    )


def test_a_mean_row_is_the_macro_mean_with_the_limits_of_its_draws(full_run):
    mean = next(row for row in full_run.rows() if (row["category"], row["method"]) == ("mean", "self_similarity"))
    assert mean["image_auroc"] == "0.700000"
    low, high = np.percentile(0.7 + 0.02 * (draws_of("tile") + draws_of("brick")) / 2, [2.5, 97.5])
    assert float(mean["image_auroc_low"]) == pytest.approx(low, abs=1e-6)
    assert float(mean["image_auroc_high"]) == pytest.approx(high, abs=1e-6)
    assert (mean["categories"], mean["pixel_categories"]) == ("2", "2")


def test_a_refiner_changes_the_mask_and_keeps_the_map(full_run):
    thresholded, refined = full_run.rows()[:2]
    assert (thresholded["mask_f1"], refined["mask_f1"]) == ("0.400000", "0.600000")
    assert (thresholded["mask_iou"], refined["mask_iou"]) == ("0.250000", "0.600000")
    assert refined["aupro"] == thresholded["aupro"] == "0.800000"
    assert refined["decision_f1"] == "0.500000"


def test_a_category_without_a_value_is_nan_and_left_out_of_the_mean(run):
    run.collect([score_document("tile", "mutual", 0.9), score_document("brick", "mutual", None)])
    tile, brick, mean = run.rows()
    assert (tile["categories"], brick["categories"], mean["categories"]) == ("1", "0", "1")
    assert (brick["aupro"], brick["aupro_low"], mean["aupro"]) == ("NaN", "NaN", "0.900000")
    assert "mutual: means of pixel metrics are over 1 of 2 categories." in run.text("markdown")


def test_without_any_value_the_mean_is_nan(run):
    run.collect([score_document("tile", "mutual", None)])
    mean = run.rows()[-1]
    assert (mean["aupro"], mean["aupro_low"], mean["categories"]) == ("NaN", "NaN", "0")


def test_images_is_a_ranked_list_a_category_and_method(full_run):
    rows = full_run.rows("images_csv")
    assert tuple(rows[0]) == tuple(IMAGES.columns)
    assert [(row["category"], row["method"]) for row in rows[::3]] == [
        *(("tile", "self_similarity"), ("tile", "mutual"), ("brick", "self_similarity"), ("brick", "mutual")),
    ]
    assert [row["image_id"] for row in rows[:3]] == ["test/spot/000.png", "test/spot/001.png", "test/good/000.png"]
    assert [row["decision"] for row in rows[:3]] == ["1", "1", "0"]
    assert [row["rank"] for row in rows[:4]] == ["1", "1", "3", "1"]
    assert (rows[0]["image_score"], rows[0]["peak"], rows[0]["seconds"]) == ("0.75", "0.85", "0.5000")
    assert [(row["region_threshold"], row["pixel_threshold"]) for row in rows[:3]] == [("0.5", "0.4")] * 3
    assert [(row["p_value"], row["false_alarms"]) for row in rows[:3]] == [("0.05", ""), ("0.05", ""), ("1", "")]


def test_unlabelled_images_have_an_empty_label(run):
    document = score_document("tile", "mutual", None)
    document["images"] = [image("a.png", None, "", 0.1) | {"seconds": None}]
    row = run.collect([document]).rows("images_csv")[0]
    assert (row["label"], row["defect_type"], row["seconds"]) == ("", "", "")


def test_equal_scores_share_the_better_rank_and_stand_by_name(run):
    document = score_document("tile", "mutual", None)
    scores = {"d.png": 0.25, "c.png": 0.5, "b.png": 0.5, "a.png": 0.125, "e.png": 0.75}
    document["images"] = [image(name, None, "", score) for name, score in scores.items()]
    found = [(row["rank"], row["image_id"]) for row in run.collect([document]).rows("images_csv")]
    assert found == [("1", "e.png"), ("2", "b.png"), ("2", "c.png"), ("4", "d.png"), ("5", "a.png")]


@pytest.mark.parametrize("value", [None, 0.9])
def test_a_table_to_read_without_a_single_figure_is_left_out(run, value):
    run.collect([score_document("tile", "mutual", value)])
    assert ("## By category: image AUROC" in run.text("markdown")) == (value is not None)
    assert (r"\caption{By category: image AUROC" in run.text("latex")) == (value is not None)


def test_the_same_input_gives_the_same_bytes(full_run):
    first = [path.read_bytes() for path in full_run.outputs.values()]
    collect_tables(**full_run.arguments)
    assert [path.read_bytes() for path in full_run.outputs.values()] == first


def test_the_best_is_bold_within_its_setting_only(run):
    run.collect(
        [
            score_document("tile", "one", 0.8),
            score_document("tile", "two", 0.7),
            score_document("tile", "batch", 0.9, setting="zero-shot-batch"),
        ]
    )
    means = run.text("markdown").split("## ")[1]
    one, two, batch = (np.percentile(100 * (v + 0.02 * draws_of("tile")), [2.5, 97.5]) for v in (0.8, 0.7, 0.9))
    assert "| zero-shot-single | one | embedded | **80.0** ({:.1f}–{:.1f}) |".format(*one) in means
    assert "| zero-shot-single | two | embedded | 70.0 ({:.1f}–{:.1f}) |".format(*two) in means
    assert "| zero-shot-batch | batch | embedded | 90.0 ({:.1f}–{:.1f}) |".format(*batch) in means
    assert r"one & embedded & \textbf{{80.0}} ({:.1f}--{:.1f}) &".format(*one) in run.text("latex")
    assert r"\textit{zero-shot-single}" in run.text("latex")


def test_figures_that_print_alike_are_bold_alike(run):
    run.collect(
        [
            score_document("tile", "one", 0.80001, error=None),
            score_document("tile", "two", 0.8, error=None),
            score_document("tile", "three", 0.5, error=None),
        ]
    )
    means = run.text("markdown").split("## ")[1]
    assert "| one | embedded | **80.0** |" in means
    assert "| two | embedded | **80.0** |" in means
    assert "| three | embedded | <u>50.0</u> |" in means
    assert r"three & embedded & \underline{50.0} &" in run.text("latex")


def test_the_table_by_category_shows_every_method_under_its_setting(full_run):
    by_category = full_run.text("markdown").split("## By category: image AUROC (native)")[1].split("##")[0]
    assert by_category.strip().splitlines() == [
        "| category | self_similarity | mutual |",
        "| --- | ---: | ---: |",
        "| setting | zero-shot-single | zero-shot-batch |",
        "| tile | 80.0 | 90.0 |",
        "| brick | 60.0 | 70.0 |",
        "| mean | 70.0 | 80.0 |",
    ]


def test_notes_are_listed_once_a_category(run):
    note = "No defective test image has a mask, so there are no pixel metrics."
    run.collect(
        [score_document("tile", "one", 0.8, notes=[note]), score_document("tile", "two", 0.7, notes=[note])],
        [mask_document("tile", "one", 0.5, notes=[note])],
    )
    assert run.text("markdown").count(f"- tile: {note}") == 1


def test_names_are_escaped():
    assert latex_text("self_similarity 50% {a} \\b") == r"self\_similarity 50\% \{a\} \textbackslash{}b"
    assert markdown_text("a|b *c* [d]") == r"a\|b \*c\* \[d\]"


def test_masks_without_scores_are_an_error_and_leave_no_output(run):
    with pytest.raises(DataError, match="no scores"):
        run.collect([score_document("tile", "one", 0.8)], [mask_document("tile", "two", 0.5)])
    assert not any(path.exists() for path in run.outputs.values())


def test_a_file_that_is_no_evaluation_is_an_error(run):
    with pytest.raises(DataError, match="is not an evaluation file"):
        run.collect([{"category": "tile"}])


@pytest.fixture
def seeded_run(run):
    """One method with three seeds beside one without, on two categories."""
    values = {"tile": (0.8, 0.9, 0.7), "brick": (0.6, 0.5, 0.4)}
    scores, masks = [], []
    for category, of_seeds in values.items():
        for seed, value in enumerate(of_seeds):
            name = f"memory_bank-seed{seed}"
            scores.append(score_document(category, name, value, setting="few-shot-1", group="memory_bank"))
            masks.append(mask_document(category, name, value))
        scores.append(score_document(category, "mutual", 0.75, setting="zero-shot-batch"))
        masks.append(mask_document(category, "mutual", 0.5))
    return run.collect(scores, masks)


def test_a_method_with_several_seeds_has_a_row_for_each_and_one_with_their_mean_and_deviation(seeded_run):
    rows = {(row["category"], row["method"], row["refiner"]): row for row in seeded_run.rows()}
    assert len(rows) == len(seeded_run.rows()) == 3 * 5 * 2
    together = rows["tile", "memory_bank", "guided"]
    assert (together["image_auroc"], together["image_auroc_std"], together["seeds"]) == ("0.800000", "0.100000", "3")
    assert together["mask_f1"] == "0.800000"
    drawn = 0.8 + 0.02 * draws_of("tile")
    assert float(together["image_auroc_low"]) == pytest.approx(np.percentile(drawn, 2.5), abs=1e-6)
    single = rows["tile", "memory_bank-seed1", "none"]
    assert (single["image_auroc"], single["image_auroc_std"], single["seeds"]) == ("0.900000", "", "1")


def test_the_deviation_of_a_mean_is_that_of_the_means_of_the_seeds(seeded_run):
    (mean,) = [
        row
        for row in seeded_run.rows()
        if (row["category"], row["method"], row["refiner"]) == ("mean", "memory_bank", "none")
    ]
    # Means of the seeds: 0.7, 0.7, 0.55.
    assert mean["image_auroc"] == "0.650000"
    assert float(mean["image_auroc_std"]) == pytest.approx(0.0866025, abs=1e-6)


def test_the_tables_to_read_show_the_mean_over_seeds_with_its_deviation_and_say_so(seeded_run):
    text = seeded_run.text("markdown")
    images = text.split("## ")[1]
    (row,) = [line for line in images.splitlines() if "memory_bank (3 seeds)" in markdown_free(line)]
    assert "<u>65.0</u> ± 8.7 (" in row
    assert "standard deviation over the random seeds" in text


def markdown_free(line):
    return line.replace("\\", "")


def test_textures_and_objects_have_means_of_their_own_where_there_are_both(run):
    values = {"tile": 0.8, "wood": 0.6, "screw": 0.5}
    documents = [score_document(category, "mutual", value) for category, value in values.items()]
    run.collect(documents, textures=["tile", "wood"])
    means = {row["category"]: (row["aupro"], row["categories"]) for row in run.rows()[3:]}
    assert means == {
        "mean": ("0.633333", "3"),
        "mean textures": ("0.700000", "2"),
        "mean objects": ("0.500000", "1"),
    }
    assert "## Mean textures (native)" in run.text("markdown")
    run.collect(documents[:2], textures=["tile", "wood"])
    assert [row["category"] for row in run.rows()] == ["tile", "wood", "mean"]


def test_a_table_says_how_methods_were_trained_and_leaves_out_those_that_were_not(run):
    documents = [
        score_document(category, method, 0.8, group="flow")
        | {"training": {"seed": seed, "steps": 9, "weights_sha256": f"{category[0]}{seed}" * 32}}
        for category in ("tile", "brick")
        for seed, method in enumerate(("flow-seed0", "flow-seed1"))
    ]
    run.collect([*documents, *(score_document(name, "bank", 0.7) for name in ("tile", "brick"))])
    table = run.text("markdown").split("## Training\n")[1].split("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| zero")]
    assert sorted(rows) == [
        "| zero-shot-single | flow (2 seeds) | embedded | seeds 0, 1, 9 steps |",
        "| zero-shot-single | flow-seed0 | embedded | seed 0, 9 steps |",
        "| zero-shot-single | flow-seed1 | embedded | seed 1, 9 steps |",
    ]


def test_without_a_trained_method_there_is_no_table_of_trainings(full_run):
    assert "Training" not in full_run.text("markdown")


def test_every_table_names_its_protocol(run):
    run.collect([score_document("tile", "one", 0.8, protocol="resize256"), score_document("tile", "two", 0.7)])
    titles = [line for line in run.text("markdown").splitlines() if line.startswith("## ")]
    assert len(titles) > 5
    assert all(title.endswith(" (native, resize256)") for title in titles)
    assert "at 256 x 256 pixels" in run.text("markdown")
    assert [row["protocol"] for row in run.rows()[:2]] == ["resize256", "native"]


def test_the_types_of_defect_have_rows_with_limits(full_run):
    rows = full_run.rows("defect_types_csv")
    assert [(row["category"], row["method"], row["defect_type"], row["images"]) for row in rows] == [
        (category, method, "spot", "2") for category in ("tile", "brick") for method in ("self_similarity", "mutual")
    ]
    assert rows[0]["aupro"] == "0.800000"
    assert float(rows[0]["aupro_low"]) < 0.8 < float(rows[0]["aupro_high"])


def test_metrics_that_nobody_has_are_left_out_of_the_tables_to_read(run):
    document = score_document("tile", "one", 0.8)
    document["metrics"]["auspro_005"] = None
    run.collect([document])
    assert "AU-sPRO" not in run.text("markdown")
    assert "AUPIMO" in run.text("markdown")


def test_published_figures_stand_beside_ours_with_source_setting_and_protocol(run):
    run.collect([score_document("carpet", "mutual", 0.8, setting="zero-shot-batch")], published="mvtec_ad")
    table = run.text("markdown").split("## Our figures and published ones by setting")[1]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| zero-shot-batch")]
    ours = [row for row in rows if row[1] == "mutual"]
    theirs = [row for row in rows if row[1] == "MuSc"]
    assert len(ours) == 1
    assert ours[0][3:5] == ["native", "80.0"]
    assert len(theirs) >= 2
    assert all("arXiv" in row[-1] and " px; " in row[3] for row in theirs)
