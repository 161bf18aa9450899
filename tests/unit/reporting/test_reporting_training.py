"""What the page says of methods that were trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from test_reporting_page import Page, build

from zsad.files.json_files import read_json, write_json
from zsad.reporting.build_page import build_page

METHODS = {"flow": "few-shot-4", "prompts": "zero-shot-auxiliary(visa)", "mutual": "zero-shot-batch"}
CATEGORIES = ["pcb1", "hazelnut"]
WEIGHTS = {"pcb1": "aa" + 62 * "0", "hazelnut": "bb" + 62 * "0"}
NOTE = "no anomalous image has a mask <where>"


def made(folder: Path, trainings: Mapping[str, Mapping[str, Any]], methods: Mapping[str, str] = METHODS) -> str:
    """A page whose evaluations tell of these trainings, by method and category, as source."""
    arguments: dict[str, Any] = build(folder, CATEGORIES, methods, refiners=("none",))
    for path in arguments["evaluations"]:
        document = read_json(path)
        if training := trainings.get(document["method"], {}).get(document["category"]):
            write_json(path, {**document, "training": training})
    build_page(**arguments)
    source: str = arguments["output"].read_text(encoding="utf-8")
    return source


def of_flow() -> dict[str, Any]:
    return {
        category: {"seed": 0, "steps": steps, "parameters": 123456, "weights_sha256": WEIGHTS[category]}
        for category, steps in zip(CATEGORIES, (640, 1000), strict=True)
    }


def of_prompts() -> dict[str, Any]:
    known = {"seed": 1, "steps": 30, "parameters": 20480, "trained_on": "visa", "weights_sha256": "cc" + 62 * "0"}
    return {key: {**known, "notes": [NOTE]} for key in CATEGORIES}


def section_of(source: str) -> str:
    return source.partition('<section aria-labelledby="training">')[2].partition("</section>")[0]


def test_each_trained_method_says_how_and_on_what(tmp_path: Path) -> None:
    source = made(tmp_path, {"flow": of_flow(), "prompts": of_prompts()})
    text = " ".join(Page(section_of(source)).text.split())
    assert "Trained separately for each category: seed 0, 640 to 1000 steps. 123,456 parameters." in text
    words = "Trained once for all categories: seed 1, 30 steps, on visa, weights cc0000000000. 20,480 parameters."
    assert f"{words} {NOTE}." in text
    assert "mutual" not in text
    assert section_of(source).count("<li") == 2


def test_the_page_says_that_some_are_trained_and_whose_defects_they_have_seen(tmp_path: Path) -> None:
    page = Page(made(tmp_path, {"flow": of_flow(), "prompts": of_prompts()}))
    assert (page.open, page.misnested) == ([], [])
    assert {"href": "#training"} in page.attributes("a")
    assert "trained on labelled defects of another data set (here visa): compare" in page.text
    assert "No method is trained" not in page.text


def test_what_learns_from_references_alone_has_seen_no_defect(tmp_path: Path) -> None:
    text = Page(made(tmp_path, {"flow": of_flow()}, {"flow": "few-shot-4"})).text
    assert (
        "Some methods are trained, never on test images. This page calls only the zero-shot settings zero-shot." in text
    )
    assert "labelled defects" not in text.partition("Decisions")[0]


def test_without_training_nothing_is_said_of_it(tmp_path: Path) -> None:
    source = made(tmp_path, {})
    assert "training" not in {tag.get("id") for _, tag in Page(source).tags}
    assert "No method is trained, and this page calls only the zero-shot settings zero-shot." in source


def test_members_of_a_fusion_are_told_apart(tmp_path: Path) -> None:
    together = {key: {"members": {"flow": {"seed": 0, "steps": 5}, "prompts": {"steps": 7}}} for key in CATEGORIES}
    text = Page(section_of(made(tmp_path, {"mutual": together}))).text
    assert "flow: seed 0, 5 steps; prompts: 7 steps." in " ".join(text.split())
