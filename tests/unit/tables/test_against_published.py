"""Ours beside the published figures that a method is to meet: what is compared, and what is said of it."""

import json
import math

import pytest

from evaluation_files import Run, score_document
from zsad.cli import main
from zsad.names import ALL_METRICS, MEAN, NO_REFINER
from zsad.tables.against_published import (
    HIGHER,
    LOWER,
    NOT_COMPARED,
    WITHIN,
    against_published,
    against_tables,
    format_published,
    read_against,
    summarise,
)
from zsad.tables.collect_tables import collect_tables
from zsad.tables.csv_tables import AGAINST_PUBLISHED, METRICS
from zsad.tables.frames import rows_of
from zsad.tables.published import FIGURES, read_published

PUBLISHED = [row for row in read_published() if row.dataset == "mvtec_ad"]
MUSC = {"method": "MuSc", "backbone": "CLIP ViT-L/14-336", "resolution": "518", "setting": "zero-shot-batch"}
PAPER = MUSC | {"method": "MuSc (paper)"}
DTU = {
    "method": "mirroring (DTU)",
    "backbone": "DINOv3 ViT-S/16",
    "resolution": "224",
    "setting": "zero-shot-single",
}
CATEGORIES = sorted(row.category for row in PUBLISHED if row.method == "MuSc" and row.category != MEAN)


def figures(category, method="ours", *, half=0.01, seeds=1, missing=False, counts=15, **values):
    """A row of metrics.csv: 0.9 of every metric but those given, with limits ``half`` to either side."""
    known = dict.fromkeys(ALL_METRICS, 0.9) | values
    return {
        "category": category,
        "method": method,
        "refiner": NO_REFINER,
        **known,
        **{f"{name}_low": value - half for name, value in known.items()},
        **{f"{name}_high": value + half for name, value in known.items()},
        **{f"{name}_std": 0.005 for name in known if seeds > 1},
        **{"categories": counts, "pixel_categories": counts, "seeds": seeds, "missing": missing},
    }


def compared(*rows, names=MUSC, method="ours", categories=CATEGORIES):
    """The rows of the table by category and metric, of one method."""
    wanted = {method: {**names, "source": "", "protocol": "as here"}}
    frame = against_published(METRICS.frame(rows), wanted, "mvtec_ad", categories)
    return {(row["category"], row["metric"]): row for row in rows_of(frame)}


def published(category=MEAN, **names):
    wanted = MUSC | names
    (row,) = [
        row
        for row in PUBLISHED
        if row.category == category and all(getattr(row, name) == value for name, value in wanted.items())
    ]
    return row


def all_categories():
    return [figures(category) for category in CATEGORIES]


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        (0.978, WITHIN),
        (0.96751, WITHIN),  # with the upper limit 97.751, half of the last digit of 97.8 below it
        (0.9674, LOWER),
        (0.98849, WITHIN),
        (0.9886, HIGHER),
    ],
)
def test_a_published_figure_agrees_within_our_interval_and_half_of_its_last_digit(ours, verdict):
    row = compared(*all_categories(), figures(MEAN, image_auroc=ours), names=PAPER)[MEAN, "image_auroc"]
    assert row["theirs"] == pytest.approx(0.978)
    assert row["theirs_step"] == pytest.approx(0.001)
    assert (row["ours"], row["ours_low"], row["ours_high"]) == pytest.approx((ours, ours - 0.01, ours + 0.01), abs=1e-6)
    assert row["difference"] == pytest.approx(ours - 0.978, abs=1e-6)
    assert row["verdict"] == verdict


def test_every_published_figure_has_a_row_the_mean_first_and_nothing_else_has():
    found = compared(*all_categories(), figures(MEAN))
    assert list(found) == [(category, metric) for category in (MEAN, *CATEGORIES) for metric in FIGURES]
    for (category, metric), row in found.items():
        assert row["theirs"] == pytest.approx(getattr(published(category), metric), abs=1e-6)
    paper = compared(*all_categories(), figures(MEAN), names=PAPER)
    assert {category for category, _ in paper} == {MEAN}


def test_without_limits_ours_is_the_figure_itself():
    row = figures(MEAN, image_auroc=0.97801, image_ap=0.98)
    row |= {name: math.nan for name in row if name.endswith(("_low", "_high"))}
    found = compared(*all_categories(), row, names=PAPER)
    assert found[MEAN, "image_auroc"]["verdict"] == WITHIN
    assert found[MEAN, "image_ap"]["verdict"] == LOWER


def test_a_mean_over_fewer_categories_is_compared_with_that_of_their_published_rows():
    found = compared(figures("bottle"), figures("screw"), figures(MEAN, counts=2))
    row = found[MEAN, "pixel_ap"]
    assert row["theirs"] == pytest.approx((0.8304 + 0.3612) / 2)
    assert row["remark"] == "the published figure is the mean of the published rows of the 2 categories of the run"
    assert {category for category, _ in found} == {MEAN, "bottle", "screw"}


def test_means_over_different_categories_are_not_compared():
    row = compared(figures("bottle"), figures(MEAN, counts=1), names=PAPER)[MEAN, "image_auroc"]
    assert row["verdict"] == NOT_COMPARED
    assert math.isnan(row["difference"])
    assert row["remark"] == "the run has 1 of the 15 categories of the published mean"
    assert row["theirs"] == pytest.approx(0.978)


def test_a_mean_that_lacks_the_truth_of_some_categories_is_not_compared():
    mean = figures(MEAN) | {"pixel_categories": 14}
    found = compared(*all_categories(), mean, names=PAPER)
    assert found[MEAN, "pixel_ap"]["verdict"] == NOT_COMPARED
    assert "14 categories with ground truth" in found[MEAN, "pixel_ap"]["remark"]
    assert found[MEAN, "image_auroc"]["verdict"] != NOT_COMPARED


def test_figures_that_are_published_by_category_alone_are_compared_with_their_mean():
    categories = ("bottle", "cable", "carpet", "hazelnut", "screw")
    found = compared(*map(figures, categories), figures(MEAN, counts=5), names=DTU)
    assert found[MEAN, "image_auroc"]["theirs"] == pytest.approx((0.98 + 0.74 + 0.91 + 0.489 + 0.602) / 5, abs=1e-6)
    assert {metric for _, metric in found} == {"image_auroc"}
    others = compared(*map(figures, (*categories, "wood")), figures(MEAN, counts=6), names=DTU)
    assert (MEAN, "image_auroc") not in others
    assert ("bottle", "image_auroc") in others


def test_what_is_not_measured_or_missing_is_no_disagreement():
    found = compared(*all_categories(), figures(MEAN, pixel_ap=math.nan))
    assert found[MEAN, "pixel_ap"]["verdict"] == NOT_COMPARED
    assert "because labels or masks are missing" in found[MEAN, "pixel_ap"]["remark"]
    gone = compared(*all_categories(), figures(MEAN, missing=True))[MEAN, "image_auroc"]
    assert (gone["missing"], gone["verdict"]) == (True, "")


def test_the_deviation_over_seeds_stands_beside_the_interval():
    found = compared(*all_categories(), figures(MEAN, seeds=3))
    assert found[MEAN, "image_auroc"]["ours_std"] == pytest.approx(0.005)
    assert math.isnan(found["bottle", "image_auroc"]["ours_std"])


def test_a_figure_is_shown_as_its_source_prints_it():
    leather = published("leather")
    assert leather.image_auroc == 1
    assert format_published(leather.image_auroc, leather.steps["image_auroc"]) == "100.00"  # as many digits as its row
    mean = published(method="MuSc (paper)")
    assert format_published(mean.image_auroc, mean.steps["image_auroc"]) == "97.8"


def test_the_tables_of_a_run_hold_the_comparison_and_its_protocols(tmp_path):
    run = Run(tmp_path).collect([score_document("bottle", "ours", 0.9), score_document("screw", "ours", 0.8)])
    path = tmp_path / "against_published.csv"
    collect_tables(
        **run.arguments | {"published": "mvtec_ad"},
        to_meet={"ours": {**MUSC, "source": "", "protocol": "as here"}},
        all_categories=CATEGORIES,
        against_csv=path,
    )
    frame = read_against(path)
    metrics = {row["category"]: row for row in run.rows()}
    for row in rows_of(frame):
        of_metrics = metrics[row["category"]]
        assert row["ours"] == float(of_metrics[row["metric"]])
        assert row["ours_low"] == float(of_metrics[f"{row['metric']}_low"])
        assert row["difference"] == pytest.approx(row["ours"] - row["theirs"], abs=2e-6)
    assert run.outputs["checksums"].read_text().count("against_published.csv") == 1
    text = run.text("markdown")
    assert "## Our figures and published ones: mean over categories" in text
    assert "Ours: as here. Published: metrics at the network's input size" in text
    assert r"\caption{Our figures and published ones: by category, part 1 of " in run.text("latex")
    bottle = next(line for line in text.splitlines() if line.startswith("| ours | bottle |"))
    assert "90.0 (99.92; −9.9)" in bottle


def test_a_run_says_at_its_end_what_it_met(tmp_path):
    rows = [*all_categories(), figures(MEAN, image_auroc=0.978)]
    wanted = {"ours": {**MUSC, "source": "", "protocol": "as here"}}
    said = summarise(against_published(METRICS.frame(rows), wanted, "mvtec_ad", CATEGORIES), tmp_path / "t.csv")
    lines = [line.split() for line in said.splitlines()]
    assert ["ours,", "compared", "with", "MuSc,", "CLIP", "ViT-L/14-336,", "518", "px", "(zero-shot-batch)"] in lines
    assert ["image", "AUROC", "97.8", "(96.8–98.8)", "97.77", "+0.0", "within", "our", "interval"] in lines
    assert ["pixel", "AP", "90.0", "(89.0–91.0)", "62.26", "+27.7", "below", "ours"] in lines
    (counted,) = [line for line in said.splitlines() if "by category" in line]
    within = sum(
        abs(getattr(published(category), metric) - 0.9) <= 0.01005 for category in CATEGORIES for metric in FIGURES
    )
    assert counted.split() == f"by category: {within} of 105 published figures lie within our intervals".split()
    assert summarise(against_published(METRICS.frame(rows), {}, "mvtec_ad", CATEGORIES), tmp_path) == ""


def test_nothing_to_meet_makes_no_table():
    frame = against_published(METRICS.frame([figures(MEAN)]), {}, "mvtec_ad", CATEGORIES)
    assert frame.empty
    assert against_tables(frame) == []


def test_a_remark_is_made_once_of_all_categories_that_it_is_of():
    unknown = dict.fromkeys(ALL_METRICS, math.nan)
    rows = [figures("bottle", **unknown), figures("screw", **unknown), figures(MEAN, counts=0, **unknown)]
    wanted = {"ours": {**MUSC, "source": "", "protocol": "as here"}}
    frame = against_published(METRICS.frame(rows), wanted, "mvtec_ad", CATEGORIES)
    told_of = [line.strip() for line in summarise(frame, "t.csv").splitlines() if "because labels" in line]
    assert told_of[-1] == "bottle, screw: ours is not measured, because labels or masks are missing"
    assert len(told_of) == 2  # of the mean, which has more to be remarked, and of both categories
    (mean, _) = against_tables(frame)
    assert mean.note.count("bottle, screw: ours is not measured") == 1


def test_the_setting_is_told_though_the_first_category_is_missing():
    rows = [figures("bottle", missing=True), figures("screw"), figures(MEAN, missing=True)]
    wanted = {"ours": {**MUSC, "source": "", "protocol": "as here"}}
    said = summarise(against_published(METRICS.frame(rows), wanted, "mvtec_ad", CATEGORIES), "t.csv")
    assert "ours, compared with MuSc, CLIP ViT-L/14-336, 518 px (zero-shot-batch)\n" in said
    said = summarise(against_published(METRICS.frame(rows[::2]), wanted, "mvtec_ad", CATEGORIES), "t.csv")
    assert "ours, compared with MuSc, CLIP ViT-L/14-336, 518 px\n" in said


def test_the_command_tells_again_what_a_run_met(tmp_path, capsys):
    wanted = {"ours": {**MUSC, "source": "", "protocol": "as here"}}
    frame = against_published(METRICS.frame([*all_categories(), figures(MEAN)]), wanted, "mvtec_ad", CATEGORIES)
    (tmp_path / "tables").mkdir()
    path = tmp_path / "tables/against_published.csv"
    AGAINST_PUBLISHED.write(path, frame)
    assert main(["published", "--results", str(tmp_path)]) == 0
    assert capsys.readouterr().out == summarise(read_against(path), path) + "\n"
    assert main(["published", "--results", str(tmp_path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (len(listed), listed[0]["metric"], listed[0]["theirs"]) == (7 * 16, "image_auroc", 0.9777)
    AGAINST_PUBLISHED.write(path, frame.iloc[:0])
    assert main(["published", "--results", str(tmp_path)]) == 0
    assert "has no rows" in capsys.readouterr().out
    for damage in ("nothing\n1\n", None):
        path.unlink() if damage is None else path.write_text(damage)
        assert main(["published", "--results", str(tmp_path)]) == 1
        assert capsys.readouterr().err.startswith(f"zsad: {path} ")
