"""The tables of a run that did not make all of its results: rows without figures, and no mean over what is left."""

from typing import Any

import pytest

from evaluation_files import Run, mask_document, measured_document, score_document
from zsad.names import MASK_METRICS, ORACLE
from zsad.tables.collect_tables import collect_tables
from zsad.tables.csv_tables import METRICS
from zsad.tables.missing import MissingResult, missing_note
from zsad.tables.results import KEYS

METHODS = {"self_similarity": "", "mutual": "", "bank-seed0": "bank", "bank-seed1": "bank"}
CATEGORIES = {"tile": 0.8, "brick": 0.6, "screw": 0.5}
TEXTURES = ["tile", "brick"]
ROWS = [*METHODS, "bank"]
CAUSE = "score_images by mutual failed"


def oracle(category: str) -> dict[str, Any]:
    names = {"dataset": "demo", "category": category, "backbone": "sam", "method": ORACLE, "setting": ORACLE}
    values = measured_document(dict.fromkeys(MASK_METRICS, 0.9), category, 0.02)
    return {**names, "refiner": "sam", "protocol": "native", **values, "effects": [], "images": [], "notes": []}


def rows_of(run: Run, name: str = "metrics_csv") -> dict[tuple[str, ...], dict[str, str]]:
    """The rows by their names, in order."""
    keys = {
        "metrics_csv": ("category", "method", "refiner"),
        "comparisons_csv": ("metric", "category", "method", "other"),
    }
    return {tuple(row[key] for key in keys[name]): row for row in run.rows(name)}


def collect_without(run: Run, *left_out: tuple[str, ...]) -> Run:
    """Collect as before, but without what has all the names of one of ``left_out``, and without reading its files."""
    missing = {}
    for kind in ("score", "mask", "oracle"):
        for path, document in zip(run.arguments[f"{kind}_metrics"], run.documents[kind], strict=True):
            names = {document["category"], document["method"], document.get("refiner", "none")}
            if any(names >= set(one) for one in left_out):
                kept = {key: value for key, value in document.items() if isinstance(value, str)}
                missing[path] = MissingResult(kept, CAUSE)
                path.unlink()
    collect_tables(**run.arguments, missing=missing)
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two textures and an object; two methods and one with two seeds; a refiner and an oracle. Copy it."""
    run = Run(tmp_path_factory.mktemp("whole"))
    pairs = [(category, method) for category in CATEGORIES for method in METHODS]
    run.documents = {
        "score": [
            score_document(category, method, CATEGORIES[category], group=METHODS[method]) for category, method in pairs
        ],
        "mask": [mask_document(category, method, 0.7) for category, method in pairs],
        "oracle": [oracle(category) for category in CATEGORIES],
    }
    return run.collect(*run.documents.values(), textures=TEXTURES)


@pytest.fixture
def run(whole, tmp_path):
    """A copy of the whole run."""
    return whole.copy(tmp_path / "run")


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        (
            ("tile", "mutual"),
            {
                (category, "mutual", refiner)
                for category in ("tile", "mean", "mean textures")
                for refiner in ("none", "guided")
            },
        ),
        (
            ("screw",),
            {
                (category, method, refiner)
                for category in ("screw", "mean", "mean objects")
                for method, refiner in (
                    *((method, refiner) for method in ROWS for refiner in ("none", "guided")),
                    (ORACLE, "sam"),
                )
            },
        ),
        (
            ("brick", "bank-seed1", "none"),  # its masks are there, but a row of a refiner has the scores' figures too
            {
                (category, method, refiner)
                for category in ("brick", "mean", "mean textures")
                for method in ("bank-seed1", "bank")
                for refiner in ("none", "guided")
            },
        ),
        (
            ("screw", "mutual", "guided"),
            {(category, "mutual", "guided") for category in ("screw", "mean", "mean objects")},
        ),
        (("tile", ORACLE), {(category, ORACLE, "sam") for category in ("tile", "mean", "mean textures")}),
    ],
    ids=["a method in a category", "a category", "the scores of a seed", "the masks of a refiner", "an oracle"],
)
def test_rows_without_their_result_have_names_alone_and_all_others_stay(run, left_out, expected):
    whole = rows_of(run)
    found = rows_of(collect_without(run, left_out))
    assert list(found) == list(whole)
    figures = set(METRICS.columns) - set(KEYS)
    empty = {names for names, row in found.items() if {row[name] for name in figures} == {""}}
    assert empty == expected
    for names, row in found.items():
        assert {key: row[key] for key in KEYS} == {key: whole[names][key] for key in KEYS}
        assert names in expected or row == whole[names]


def test_if_nothing_is_missing_every_table_is_the_same_to_the_byte(run):
    before = [path.read_bytes() for path in run.outputs.values()]
    collect_tables(**run.arguments, missing={})
    assert [path.read_bytes() for path in run.outputs.values()] == before
    assert "missing" not in run.text("markdown") + run.text("latex")


def test_pairs_are_compared_where_both_are_there(run):
    whole = rows_of(run, "comparisons_csv")
    found = rows_of(collect_without(run, ("tile", "mutual")), "comparisons_csv")
    assert list(found) == list(whole)
    for names, row in found.items():
        _, category, *pair = names
        if "mutual" in pair and category in ("tile", "mean", "mean textures"):
            assert {row[name] for name in ("difference", "low", "high", "verdict")} == {""}
        else:
            assert row == whole[names]
    table = run.text("markdown").split("## Wins, ties and losses: image AUROC")[1].split("\n## ")[0]
    assert "| mutual | missing |  | missing |" in table
    assert "| bank | 0 / 3 / 0 | missing |  |" in table


@pytest.mark.parametrize("name", ["images_csv", "defect_types_csv"])
def test_the_lists_of_images_and_of_types_have_one_row_for_what_is_missing(run, name):
    whole = run.rows(name)
    found = collect_without(run, ("tile", "mutual")).rows(name)
    (row,) = [row for row in found if (row["category"], row["method"]) == ("tile", "mutual")]
    assert {text for column, text in row.items() if column not in KEYS} == {""}
    assert [row for row in found if (row["category"], row["method"]) != ("tile", "mutual")] == [
        row for row in whole if (row["category"], row["method"]) != ("tile", "mutual")
    ]


def test_refinement_of_missing_masks_has_no_figures_and_no_mean(run):
    found = collect_without(run, ("tile", "guided")).rows("refinement_csv")
    names = [(row["category"], row["method"]) for row in found if row["refiner"] == "guided"]
    assert names == [(category, method) for category in ("tile", "mean") for method in ROWS]
    assert {row["image_iou_after"] + row["images"] + row["categories"] for row in found} == {""}


def test_the_tables_to_read_say_missing_and_the_notes_say_why(run):
    collect_without(run, ("tile", "mutual"))
    text = run.text("markdown")
    cells = " | ".join(["missing"] * 3)
    assert f"| zero-shot-single | mutual | embedded | {cells} |" in text.split("## Images: mean")[1]
    by_category = text.split("## By category: AUPRO")[1].split("\n## ")[0].replace("**", "")
    assert "| tile | 80.0 | missing | 80.0 | 80.0 |" in by_category
    assert "| mean | 63.3 | missing | 63.3 | 63.3 |" in by_category
    assert f"- missing: tile ({CAUSE})\n" in text
    assert "are over" not in text.split("## Notes")[1]
    assert f"% missing: tile ({CAUSE})\n" in run.text("latex")
    assert r"mutual & embedded & missing & missing \\" in run.text("latex")


def test_what_nobody_knows_is_not_shown_for_what_is_missing(run):
    run.documents = {
        "score": [score_document(category, "mutual", None) for category in CATEGORIES],
        "mask": [],
        "oracle": [],
    }
    run.collect(run.documents["score"])
    collect_without(run, ("tile",))
    assert [line for line in run.text("markdown").splitlines() if line.startswith("## ")] == [
        *("## Decisions: images called defective, without labels (native)", "## Notes"),
    ]
    assert run.rows("comparisons_csv") == []
    assert f"missing: tile ({CAUSE})" in run.text("markdown")


def test_a_note_names_each_category_and_cause_once():
    missing = [("cable", "build_manifest failed")] * 2 + [
        ("tile", "score_images by a failed"),
        ("tile", "b did not run"),
    ]
    documents = [MissingResult({"category": category}, cause).document() for category, cause in missing]
    assert missing_note(documents) == (
        "missing: cable (build_manifest failed), tile (score_images by a failed), tile (b did not run)"
    )
    assert missing_note([{"category": "tile"}]) == ""
