"""What the page says of methods that were asked in words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from test_reporting_page import NASTY, Page, build

from texts_asked import LEARNED, PROMPTS, asked, say_in_evaluations
from zsad.reporting.build_page import build_page

METHODS = {"winclip": "zero-shot-text", "mutual": "zero-shot-batch", "together": "zero-shot-batch"}
CATEGORIES = ["pcb1", "hazelnut"]
NAMES = {"pcb1": "printed circuit board", "hazelnut": "hazelnut"}


def made(folder, scores_of, methods=METHODS, categories=CATEGORIES, **more):
    """A page whose scores have these provenances, as source."""
    arguments: dict[str, Any] = build(folder, categories, methods, refiners=("none",), **more)
    say_in_evaluations(arguments["evaluations"], scores_of)
    build_page(**arguments)
    return arguments["output"].read_text(encoding="utf-8")


def by_words(category, **more):
    """The provenance of scores by texts."""
    return {
        "scorer": {"class": "WinClip", "params": {"trained_on": None}},
        "texts": asked(category, NAMES[category]),
    } | more


def section_of(source):
    """The part of the page that says what was asked."""
    return source.partition('<section aria-labelledby="words">')[2].partition("</section>")[0]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    said = {(category, "winclip"): by_words(category) for category in CATEGORIES}
    said |= {
        (category, "together"): {"members": {"winclip": by_words(category), "mutual": {}}} for category in CATEGORIES
    }
    return made(tmp_path_factory.mktemp("words"), said)


def test_every_phrase_and_template_stands_word_by_word_with_its_source(source):
    text = Page(section_of(source)).text
    for words in ("normal", "anomalous", "templates"):
        for word in PROMPTS[words]:
            assert word in text
    assert "Somebody, 2030." in text
    assert "clip-vitl14-336, revision abc123" in text
    assert "2 phrases for normal objects, 2 for anomalous ones, 2 templates" in text


def test_each_category_says_what_the_part_was_called_and_shows_a_sentence_of_each_state(source):
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', section_of(source), re.DOTALL)
    assert [Page(row).text for row in rows] == [
        f"{category}{NAMES[category]}8a photo of a {NAMES[category]}.a photo of a damaged {NAMES[category]}."
        for category in CATEGORIES
    ]


def test_the_same_words_stand_once_with_all_methods_that_asked_them(source):
    section = section_of(source)
    assert section.count("<h3>") == 1
    assert re.findall(r'<li data-method="(\w+)">', section) == ["together", "winclip"]
    assert "a text with the name of the object, and no reference image" in Page(section).text


def test_the_words_have_a_place_in_the_contents_and_every_tag_is_closed(source):
    page = Page(source)
    assert (page.open, page.misnested) == ([], [])
    assert {"href": "#words"} in page.attributes("a")
    assert "No method is trained, and this page" in page.text


def test_without_texts_nothing_is_said_of_words(tmp_path):
    source = made(tmp_path, {(category, "winclip"): {"scorer": {"params": {}}} for category in CATEGORIES})
    assert "words" not in {tag.get("id") for _, tag in Page(source).tags}
    assert "#words" not in source
    assert "No method is trained, and this page calls only the zero-shot settings zero-shot." in source


def test_what_others_have_trained_is_said_with_its_data_set(tmp_path):
    methods = {"learned": "zero-shot-auxiliary(visa)", "linear": "zero-shot-auxiliary(mvtec_ad)"}
    linear = {"scorer": {"params": {"trained_on": "mvtec_ad"}}, "learned_files": {"linear_layers": "feed" + 60 * "1"}}
    said = {
        ("pcb1", "learned"): {"texts": asked("pcb1", "object", LEARNED)},
        ("pcb1", "linear"): by_words("pcb1", **linear),
    }
    source = made(tmp_path, said, methods, ["pcb1"])
    text = Page(section_of(source)).text
    assert f"File epoch_15.pth, SHA-256 {LEARNED['sha256']}, trained on visa." in " ".join(text.split())
    assert "trained on labelled defects of visa" in text
    assert "trained on labelled defects of mvtec_ad" in text
    assert "linear_layers: SHA-256 feed" in text
    assert section_of(source).count("<h3>") == 2
    whole = Page(source).text
    assert "on labelled defects of mvtec_ad, visa" in whole
    assert "No method is trained, and" not in whole


def test_other_words_and_another_model_are_other_questions(tmp_path):
    other = asked("pcb1", "board", PROMPTS | {"templates": ["{}!"]})
    moved = asked("pcb1", "board") | {"model": {"id": "another"}}
    methods = {"a": "zero-shot-text", "b": "zero-shot-text", "c": "few-shot-4"}
    said = {
        ("pcb1", "a"): {"texts": asked("pcb1", "board")},
        ("pcb1", "b"): {"texts": other},
        ("pcb1", "c"): {"scores": {"texts": moved}},
    }
    section = section_of(made(tmp_path, said, methods, ["pcb1"]))
    assert section.count("<h3>") == 3
    assert "Text tower: <code>another</code>." in section
    assert "<code>b</code> sees a text with the name of the object" in section
    assert "<code>c</code> sees these words, and 4 normal reference images (" in section


def test_no_words_of_a_prompt_file_are_markup_on_the_page(tmp_path):
    nasty = {"name": NASTY, "source": NASTY, "normal": [NASTY], "anomalous": [NASTY], "templates": [NASTY]}
    said = {("pcb1", "winclip"): {"texts": asked("pcb1", NASTY, nasty) | {"model": {"id": NASTY}}}}
    page = Page(source := made(tmp_path, said, {"winclip": "zero-shot-text"}, ["pcb1"]))
    assert (page.open, page.misnested) == ([], [])
    assert "<script>alert" not in section_of(source)


def test_a_page_of_its_own_for_each_category_says_it_on_the_page_of_the_data_set(tmp_path):
    arguments = build(tmp_path, CATEGORIES, {"winclip": "zero-shot-text"}, refiners=("none",))
    say_in_evaluations(
        arguments["evaluations"],
        {(category, "winclip"): {"texts": asked(category, NAMES[category], LEARNED)} for category in CATEGORIES},
    )
    build_page(**arguments, folder=tmp_path / "pages", heaviest=0.0001)
    index = arguments["output"].read_text(encoding="utf-8")
    assert "printed circuit board" in section_of(index)
    assert 'some <a href="#words">use published weights' in index
    own = (tmp_path / "pages" / "pcb1.html").read_text(encoding="utf-8")
    assert 'some <a href="../report.html#words">use published weights' in own
