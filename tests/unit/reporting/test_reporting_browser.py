"""The page in a real browser: on a phone, on a desk, and on paper; headless Chromium, if there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_reporting_classes import LONG, write_page
from test_reporting_page import build

from browsing import DESK, PHONE, needs_browser, open_first_tab, require_silence
from class_files import class_evaluation
from texts_asked import LEARNED, PROMPTS, asked, say_in_evaluations
from zsad.reporting.build_page import build_page

pytestmark = needs_browser

CATEGORIES = ("brick", "grass", "a_part_with_a_long_name_of_its_own", "board")
METHODS = {
    "self_similarity": "zero-shot-single",
    "mirror_symmetry": "zero-shot-single",
    "flip_consistency": "zero-shot-single",
    "mutual_with_a_long_name": "zero-shot-batch",
    "memory_bank": "few-shot-8",
}
CLASSIFIED = [  # one of long names, and one of photographs without labels
    class_evaluation("brick", "a_classifier_with_a_long_name", kinds=LONG[:5], seeds=(0, 1, 2), remarks=["x" * 90]),
    class_evaluation(
        "grass", labelled=False, source="a_support_with_a_long_name_of_its_own", shots=("all",), seeds=(0,)
    ),
]
WORDY = {  # what was asked, with names and words that have no blank to be broken at
    "winclip_with_a_long_name_of_its_own": asked(
        "board", 9 * "long_", PROMPTS | {"name": 9 * "words_", "source": "x" * 99}
    ),
    "learned": asked("board", "object", LEARNED),
}
MANY = {f"{name}_{number}_of_a_long_name": METHODS[name] for number in range(5) for name in list(METHODS)[:3]}
MOST_SHEETS = 15
SHEET = round((297 - 2 * 12) / 25.4 * 96)  # px between the margins of A4 landscape

# What is wider than its place: elements that end right of the page and cannot be scrolled to.
BEYOND = """width => [...document.querySelectorAll("th, td, img, svg, pre, p, figure, h1, h2, li, summary")]
  .filter(element => element.checkVisibility() && element.getBoundingClientRect().width > 0)
  .filter(element => element.getBoundingClientRect().right > width + 1 && !element.closest(WITHIN))
  .map(element => element.tagName + " " + element.textContent.trim().slice(0, 40))"""
# Whether nothing lies over the beginning or the middle of an element.
IS_SEEN = """element => { element.scrollIntoView({block: "center"});
  const box = element.getBoundingClientRect(), middle = box.top + box.height / 2;
  return [2, box.width / 2].every(x => element.contains(document.elementFromPoint(box.left + x, middle))); }"""
SCROLLED = ".scroll, .bar, .plot, pre"  # which scroll for themselves, on a screen


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of five methods and four categories with labels, of one without, where images are ranked, and of many.

    One has classifiers of kinds of defect, and one methods that were asked in words.
    """
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name, labels, categories, methods in (
        ("measured", (0, 0, 1, 1), CATEGORIES, METHODS),
        ("ranked", (None,) * 4, CATEGORIES[:1], METHODS),
        ("many", (0, 1), CATEGORIES[:1], MANY),
        ("many ranked", (None,) * 2, CATEGORIES[:1], MANY),
    ):
        (folder / name).mkdir()
        made[name] = build(folder / name, categories, methods, labels=labels, sheets=name == "measured")["output"]
    (folder / "kinds").mkdir()
    detectors = build(folder / "kinds", CATEGORIES[:2], {"memory_bank": "few-shot-8"}, sheets=True)
    made["kinds"] = write_page(folder / "kinds", detectors, CLASSIFIED)
    (folder / "asked").mkdir()
    methods = dict(zip(WORDY, ("zero-shot-text", "zero-shot-auxiliary(visa)"), strict=True))
    arguments = build(folder / "asked", ["board"], methods, refiners=("none",))
    said = {("board", method): {"texts": texts} for method, texts in WORDY.items()}
    say_in_evaluations(arguments["evaluations"], said)
    build_page(**arguments)
    made["asked"] = arguments["output"]
    return made


@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[tuple[Any, list[str]]]:
    """The tab of all pages, and what they say."""
    context = browser.new_context()
    yield open_first_tab(context)
    context.close()


@pytest.fixture
def opened(tab: tuple[Any, list[str]], pages: dict[str, Path]) -> Iterator[Any]:
    """Open a page at a width; at the end, it must have said nothing and asked for nothing from elsewhere."""
    page, heard = tab

    def open_page(name: str, width: int) -> Any:
        page.set_viewport_size({"width": width, "height": 844})
        page.goto(pages[name].as_uri())
        return page

    yield open_page
    page.emulate_media(media="null")
    require_silence(heard)


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("name", ["measured", "ranked", "many", "many ranked", "kinds", "asked"])
def test_nothing_is_wider_than_the_window(name: str, width: int, opened: Any) -> None:
    page = opened(name, width)
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(BEYOND.replace("WITHIN", repr(SCROLLED)), width) == []


def test_the_ranked_list_can_be_read_on_a_phone(opened: Any) -> None:
    page = opened("ranked", PHONE)
    cells = page.locator(".ranking tbody tr").first.locator("th, td")
    assert cells.count() >= 4 + len(METHODS) - 1
    for index in range(cells.count()):
        box = cells.nth(index).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE
        assert box["height"] > 8
        assert cells.nth(index).evaluate(IS_SEEN)
    thumbnail = page.locator(".ranking svg").first.bounding_box()
    assert thumbnail["width"] / thumbnail["height"] == pytest.approx(80 / 60, rel=0.05)
    assert re.search(r"rank by", page.locator(".ranking tbody td[data-label]").last.evaluate(
        "cell => getComputedStyle(cell, '::before').content"
    ))  # fmt: skip


def test_the_list_of_all_images_can_be_read_on_a_phone(opened: Any) -> None:
    page = opened("measured", PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    cells = page.locator(".images").first.locator("tbody tr").first.locator("th, td")
    boxes = [cells.nth(index).bounding_box() for index in range(5)]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= PHONE and box["height"] > 8 for box in boxes)
    assert boxes[0]["width"] > 0.8 * PHONE
    assert all(cells.nth(index).evaluate(IS_SEEN) for index in range(5))
    labels = [cells.nth(index).evaluate("cell => getComputedStyle(cell, '::before').content") for index in (1, 2)]
    assert labels == ['"rank "', '"score "']


@pytest.mark.parametrize("name", ["measured", "ranked", "many", "many ranked", "kinds", "asked"])
def test_no_column_is_cut_on_paper(name: str, opened: Any) -> None:
    page = opened(name, SHEET)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.gallery[open]").count() == 0
    assert page.locator("details:has(.plot):not(.gallery):not([open])").count() == 0
    assert page.locator("details:has(.plot):not(.gallery)").count() > 0
    assert page.evaluate(BEYOND.replace("WITHIN", "'[hidden]'"), SHEET) == []
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.gallery[open]").count() > 0 or name == "ranked"


def test_a_page_of_the_size_of_the_demo_takes_few_sheets(opened: Any) -> None:
    printed = opened("measured", DESK).pdf(prefer_css_page_size=True)
    assert 1 < len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) <= MOST_SHEETS
    width, height = map(float, re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", printed).groups())
    assert (round(width / 72 * 25.4), round(height / 72 * 25.4)) == (297, 210)


def test_an_index_leads_to_the_page_of_each_category_and_back(tmp_path: Path, opened: Any) -> None:
    arguments = build(tmp_path, CATEGORIES[:2], {"self_similarity": "zero-shot-single"})
    build_page(**arguments, folder=tmp_path / "report", heaviest=0.001)
    index = arguments["output"].as_uri()
    page = opened("measured", DESK)
    for category in CATEGORIES[:2]:
        page.goto(index)
        page.locator("#categories ~ ul a", has_text=category).click()
        assert page.locator("h1").inner_text().endswith(category)
        page.locator(".bar a").first.click()
        assert page.url.startswith(index)
