"""What a run makes of a data set follows from the labels and masks that its listing names; nothing is made of none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from evaluation_files import Run, mask_document, score_document
from harness import merged
from zsad.data.known_truth import NO_TRUTH, WHOLE_TRUTH, KnownTruth
from zsad.tables.collect_tables import collect_tables
from zsad.workflow.measurable import CLASS_TABLES, OVERALL_PLOTS
from zsad.workflow.measurable import TABLES as ALL_TABLES
from zsad.workflow.settings import DEFAULT_PATH, Settings

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())
IMAGES_ALONE = {"scorer": "class_token_knn", "params": {"shots": 1}}
GOOD, DEFECT, MASKED, UNKNOWN, BY_MASK = "good,", "defective,", "defective,mask.png", ",", ",mask.png"
CURVES, ORACLE = "plots/a/curves.png", "a/metrics/oracle"


def in_all_formats(*plots: str) -> set[str]:
    return {f"{plot}.{ending}" for plot in plots for ending in ("png", "pdf", "svg")}


AGAINST = {"against_csv"}  # see test_published_settings.py
TABLES = {name: file for name, file in ALL_TABLES.items() if name not in AGAINST}
NO_CLASSES = {f"tables/{ALL_TABLES[name]}" for name in AGAINST}
NO_CLASSES |= {f"tables/{file}" for file in CLASS_TABLES.values()}
NO_CLASSES |= in_all_formats(*(f"plots/{name}/shots" for name in "abc"))


def settings_of(
    folder: Path, tests: dict[str, tuple[str, ...]], methods: dict[str, Any] | None = None, **changes: Any
) -> Settings:
    """A table of test images by category, each with label and mask, and a good one for training."""
    folder.mkdir(exist_ok=True)
    lines = ["path,category,split,label,mask_path"]
    for category, truths in tests.items():
        for index, truth in enumerate((GOOD, *truths)):
            Image.new("L", (8, 8)).save(folder / f"{category}{index}.png")
            lines.append(f"{category}{index}.png,{category},{'test' if index else 'train'},{truth}")
    Image.new("L", (8, 8), 255).save(folder / "mask.png")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    data = {"layout": "csv", "root": str(folder / "table.csv"), "name": "t"}
    return Settings(
        merged(
            DEFAULT,
            dataset={**DEFAULT["dataset"], **data},
            methods={**DEFAULT["methods"], **(methods or {})},
            **changes,
        )
    )


@pytest.mark.parametrize(
    ("truths", "expected"),
    [
        ((UNKNOWN, UNKNOWN), NO_TRUTH),
        ((GOOD, UNKNOWN), KnownTruth(good=True, defective=False, masks=False)),
        ((DEFECT,), KnownTruth(good=False, defective=True, masks=False)),
        ((MASKED, UNKNOWN), KnownTruth(good=False, defective=True, masks=True)),
        ((GOOD, DEFECT), KnownTruth(good=True, defective=True, masks=False)),
        ((GOOD, MASKED, DEFECT), WHOLE_TRUTH),
        ((BY_MASK,), WHOLE_TRUTH),  # which the mask alone tells
    ],
)
def test_the_listing_says_what_is_known_and_training_images_do_not_count(
    tmp_path: Path, truths: tuple[str, ...], expected: KnownTruth
) -> None:
    assert settings_of(tmp_path, {"a": truths}).data.truth("a") == expected


@pytest.mark.parametrize(
    ("truths", "tables", "unmade"),
    [
        (
            (UNKNOWN,),
            {"images_csv", "decisions_csv", "checksums"},
            {CURVES, ORACLE, "a/draws", "tables/metrics.csv", "tables/metrics.md"},
        ),
        (
            (GOOD,),
            {"images_csv", "decisions_csv", "checksums", "refinement_csv"},
            {CURVES, ORACLE, "tables/metrics.csv", "tables/metrics.tex"},
        ),
        ((DEFECT,), set(TABLES) - {"comparisons_csv"}, {CURVES, ORACLE, "tables/comparisons.csv"}),
        ((MASKED,), set(TABLES), set()),
        ((GOOD, DEFECT), set(TABLES), {ORACLE}),
        ((GOOD, MASKED), set(TABLES), set()),
    ],
)
def test_a_run_makes_what_can_hold_a_figure_and_no_more(
    tmp_path: Path, truths: tuple[str, ...], tables: set[str], unmade: set[str]
) -> None:
    measurable = settings_of(tmp_path, {"a": truths}).measurable
    assert set(measurable.tables) == tables
    assert set(measurable.overall_plots) == (set(OVERALL_PLOTS) if "comparisons_csv" in tables else set())
    assert measurable.has_curves("a") == bool(measurable.overall_plots) == (CURVES not in unmade)
    assert unmade <= set(measurable.unmade())
    assert {f"tables/{file}" for name, file in TABLES.items() if name not in tables} == {
        path for path in measurable.unmade() if path.startswith("tables/") and path not in NO_CLASSES
    }
    if tables == set(TABLES):
        assert {path for path in measurable.unmade() if not path.endswith("oracle")} <= NO_CLASSES


def test_masks_alone_rank_nothing_for_methods_that_score_images_alone(tmp_path: Path) -> None:
    others = dict.fromkeys(DEFAULT["methods"])
    methods = {**others, "tokens": IMAGES_ALONE}
    measurable = settings_of(tmp_path, {"a": (MASKED,)}, methods).measurable
    assert not measurable.has_curves("a")
    assert not measurable.overall_plots
    two = {**methods, "mutual": DEFAULT["methods"]["mutual"]}
    fused = {**two, "both": {"scorer": "fusion", "params": {"methods": ["tokens", "mutual"]}}}
    assert settings_of(tmp_path, {"a": (MASKED, MASKED)}, fused).measurable.has_curves("a")


def test_categories_are_told_apart(tmp_path: Path) -> None:
    measurable = settings_of(tmp_path, {"a": (GOOD, MASKED), "b": (UNKNOWN,), "c": (GOOD, DEFECT)}).measurable
    assert set(measurable.tables) == set(TABLES)
    assert [measurable.has_curves(category) for category in "abc"] == [True, False, True]
    assert [measurable.has_masks(category) for category in "abc"] == [True, False, False]
    kinds = {"b/metrics/oracle", "b/draws/oracle", "c/metrics/oracle", "c/draws/oracle"}
    assert set(measurable.unmade()) == {*in_all_formats("plots/b/curves"), *kinds, *NO_CLASSES}


def test_what_classifiers_say_is_told_where_an_image_is_labelled(
    tmp_path: Path, write_png: Callable[..., Path]
) -> None:
    for kind in ("dent", "scratch"):
        write_png(tmp_path / "known" / kind / "0.png")
    classifiers = {"nearest": {"classifier": "nearest_exemplar", "backbone": "embedded", "support": "known"}}
    more = {"classifiers": classifiers, "supports": {"known": {"folder": str(tmp_path / "known")}}}
    some = settings_of(tmp_path, {"a": (GOOD, MASKED), "b": (UNKNOWN,)}, **more).measurable
    assert some.class_tables == CLASS_TABLES
    assert [some.has_kinds(category) for category in "ab"] == [True, False]
    left = {path for path in some.unmade() if "shots" in path or "confusion" in path or "classification" in path}
    assert left == in_all_formats("plots/b/shots", "plots/b/nearest.confusion")
    none = settings_of(tmp_path, {"a": (UNKNOWN,)}, **more).measurable
    assert set(CLASS_TABLES) - set(none.class_tables) == {"confusion_csv"}
    assert "tables/classification_confusion.csv" in none.unmade()


def test_good_images_in_one_category_and_defective_ones_in_another_rank_nothing(tmp_path: Path) -> None:
    measurable = settings_of(tmp_path, {"a": (GOOD,), "b": (DEFECT,)}).measurable
    assert "comparisons_csv" not in measurable.tables
    assert "defect_types_csv" in measurable.tables


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"layout": "mvtec_ad_2", "download_to": "nowhere"}, WHOLE_TRUTH),
        ({"layout": "mvtec_ad_2", "download_to": "nowhere", "params": {"test": "private"}}, NO_TRUTH),
        ({"layout": "mvtec_ad", "download_to": "nowhere"}, WHOLE_TRUTH),
        ({"demo": {"good": 0}}, KnownTruth(good=False, defective=True, masks=True)),
        ({"demo": {"defective": 0}}, KnownTruth(good=True, defective=False, masks=False)),
    ],
)
def test_of_images_that_are_not_here_yet_the_layout_says_it(data: dict[str, Any], expected: KnownTruth) -> None:
    settings = Settings(merged(DEFAULT, dataset={**DEFAULT["dataset"], **data}))
    assert next(settings.data.truths()) == expected
    assert settings.measurable.is_labelled == expected.is_labelled


def test_a_folder_is_known_to_be_unlabelled_without_a_look_at_it(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "one.png")
    data = {**DEFAULT["dataset"], "layout": "folder", "root": str(tmp_path)}
    settings = Settings(merged(DEFAULT, dataset=data))
    assert list(settings.measurable.tables) == ["images_csv", "decisions_csv", "checksums"]


def test_tables_of_an_earlier_run_with_labels_are_removed(tmp_path: Path) -> None:
    run = Run(tmp_path).collect([score_document("a", "mutual", 0.5)], [mask_document("a", "mutual", 0.5)])
    left = {name: path for name, path in run.outputs.items() if name != "images_csv"}
    folder = tmp_path / "draws"
    folder.mkdir()
    (folder / "mutual.h5").touch()
    collect_tables(
        score_metrics=run.arguments["score_metrics"],
        images_csv=run.outputs["images_csv"],
        unmade=[*left.values(), folder, tmp_path / "never there"],
    )
    assert not any(path.exists() for path in (*left.values(), folder))
    assert [row["image_id"] for row in run.rows("images_csv")][-1] == "test/good/000.png"


def test_columns_and_rows_to_read_that_nothing_is_known_of_are_left_out(tmp_path: Path) -> None:
    whole = score_document("a", "mutual", 0.5)
    pixels = ("pixel", "aup", "mask", "region", "aus")
    metrics = {name: None if name.startswith(pixels) else value for name, value in whole["metrics"].items()}
    labels_alone = whole | {"metrics": metrics, "confidence": dict.fromkeys(metrics, (None, None)), "draws": {}}
    unlabelled = score_document("b", "mutual", None)
    run = Run(tmp_path).collect([labels_alone, unlabelled])
    lines = "".join(line for line in run.text("markdown").splitlines() if line.startswith(("|", "##")))
    assert "image AUROC" in lines
    assert not any(words in lines for words in ("pixel", "Pixel", "AUPRO", "SegF1", "– |"))
    measured, decided = lines.split("## Decisions: images called")
    assert "| b |" not in measured
    assert "2 of 3" in decided.split("| b |")[1]  # which is known without a label
    columns = run.rows()[0].keys()
    assert {"aupro", "mask_f1", "pixel_ap"} <= set(columns)  # the columns of the CSV are always the same
    assert {row["category"] for row in run.rows()} == {"a", "b", "mean"}
