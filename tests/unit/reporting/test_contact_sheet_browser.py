"""The contact sheet in a real browser: the list, the large view, the threshold, and marks that become labels."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from jinja2 import Environment, FileSystemLoader
from PIL import Image
from sklearn.metrics import roc_auc_score

from browsing import DESK, PHONE, listen, needs_browser, open_first_tab, require_silence
from chain import Chain
from fault import Sound
from paths import REPOSITORY
from zsad.data.layouts.csv_table import CsvLayout
from zsad.deciding.base import Evidence
from zsad.deciding.registry import THRESHOLDS
from zsad.evaluation.decisions import decision_counts, decision_metrics
from zsad.files.csv_cells import encoded
from zsad.files.scores import ScoreReader
from zsad.reporting.build_page import build_page
from zsad.reporting.draw_layers import draw_layers
from zsad.reporting.draw_thumbnails import draw_thumbnails
from zsad.reporting.overlays import ColourScale, colour_scale
from zsad.workflow.settings import Settings

pytestmark = needs_browser

HERE = REPOSITORY / "zsad" / "reporting"
# Signs that HTML, JSON, JavaScript, CSV, spreadsheets, YAML or a shell could take for something else.
PATHS = (
    *("{x} 1.png", "ü/ä b.PNG", 'comma, "quote".png', "<script>alert(1)</script>.png", "=1+1.png", "-2.png"),
    *(" lead.png", "~home.png", "cost $5.png", "'=x.png", "a;=1.png", "tab\t=1.png", "__proto__/constructor.png"),
    *("+/x.png", "@SUM(A1).png", "plain.png"),
)
OTHERS = tuple(f"=2/{path}" for path in PATHS)
SCORES = np.array([9, 8, 8, 7, 6.5, 6, 5, 4.25, 4, 3.5, 3, 2.5, 2, 1.5, 1, 0.1], np.float32) / np.float32(7)
LABELS = (1, 1, 0, 1, None, 1, 0, 0, 1, 0, 0, 0, None, 0, 0, 1)
TYPES = {0: "crack", 1: "hole", 3: "crack", 5: "<b>", 8: "hole", 15: "defective"}
THRESHOLD = float(np.float32(0.8))
GRID = (4, 6)
SIZE = (120, 180)  # height, width


def address(pixels: np.ndarray, kind: str = "PNG") -> str:
    """A picture as a data URI."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


def maps(count: int = len(PATHS)) -> list[np.ndarray]:
    """Grey maps, uint8, a slope each, brighter on the right."""
    return [np.tile(np.linspace(0, 255, GRID[1]).astype(np.uint8), (GRID[0], 1)) for _ in range(count)]


def method(name: str, scores: Sequence[float], **changed: Any) -> dict[str, Any]:
    """A method as the page knows it, with peaks that are its scores; the first image has an outline.

    Args:
        changed: of ``thresholds`` one number stands for one for all images.
    """
    count = len(scores)
    thresholds = changed.pop("thresholds", THRESHOLD)
    thresholds = thresholds if isinstance(thresholds, list) else [thresholds] * count
    peaks = changed.setdefault("peaks", [float(score) for score in scores])
    decided = [
        int(limit is not None and np.float32(peak) > np.float32(limit))
        for peak, limit in zip(peaks, thresholds, strict=True)
    ]
    known = {"method": name, "backbone": "embedded", "title": name, "low": 0.0, "high": 2.0, "localises": True}
    known |= {"measure": "", "significance": [None] * count, "thresholds": thresholds, "pixel_threshold": None}
    drawn = {
        "maps": [address(each) for each in maps(count)],
        "outlines": [[[0.1, 0.1, 0.6, 0.1, 0.6, 0.5]], *[[]] * (count - 1)],
    }
    judged = {"scores": [float(score) for score in scores], "decisions": decided}
    return {**known, **judged, "notes": ["" for _ in scores], **drawn, **changed}


def sheet(
    category: str = "lid", labels: Sequence[int | None] = LABELS, paths: Sequence[str] = PATHS, **changed: Any
) -> dict[str, Any]:
    """What the page knows of a category."""
    scale = colour_scale([np.linspace(0, 1, 8)], "inferno")
    grey = np.full((*SIZE, 3), 128, np.uint8)
    images = [
        {
            "id": path,
            "path": path,
            "label": labels[place % len(labels)],
            "defect_type": TYPES.get(place, "") if labels[place % len(labels)] else "",
            "width": SIZE[1],
            "height": SIZE[0],
            "thumbnail": address(grey, "JPEG"),
        }
        for place, path in enumerate(paths)
    ]
    own = {"thresholds": [-1.0, 3.0] * (len(paths) // 2), "measure": "false_alarms"}
    own["significance"] = [0.01, 1.5] * (len(paths) // 2)
    scores = SCORES if len(paths) == len(PATHS) else np.linspace(2, 0, len(paths), dtype=np.float32)
    return {
        "dataset": "parts & <co>",
        "category": category,
        "colours": [
            f"#{red:02x}{green:02x}{blue:02x}"
            for red, green, blue in scale.colours[np.linspace(0, 255, 17).round().astype(int)]
        ],
        "images": images,
        "methods": [method("mutual", scores), method("bank", scores[::-1], **own)],
        **changed,
    }


def write_page(path: Path, *sheets: dict[str, Any]) -> Path:
    """A page of contact sheets alone."""
    sections = "".join(
        f'<section class="contact-sheet"><script type="application/json" class="contact-sheet-data">'
        f"{json.dumps(each).replace('<', chr(92) + 'u003c')}</script>"
        '<div class="contact-sheet-view"></div></section>'
        for each in sheets
    )
    templates = Environment(loader=FileSystemLoader([HERE, HERE / "sections"]))
    styles = "".join(templates.get_template(f"{name}.css").render() for name in ("page", "contact_sheet"))
    scripts = templates.get_template("contact_sheet.scripts.jinja").render()
    path.write_text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>parts</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{styles}</style></head><body><main>{sections}</main>{scripts}</body></html>",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of one category with labels, of one without, of two, and of a thousand images."""
    folder = tmp_path_factory.mktemp("sheets")
    many = [f"{number}.png" for number in range(1000)]
    return {
        "labelled": write_page(folder / "labelled.html", sheet()),
        "unlabelled": write_page(folder / "unlabelled.html", sheet(labels=(None,))),
        "two": write_page(
            folder / "two.html", sheet(labels=(None,)), sheet("=1+1", (None,), OTHERS, root="my photos/ä")
        ),
        "many": write_page(folder / "many.html", sheet(paths=many, labels=(None,))),
    }


@pytest.fixture(scope="module")
def desk(browser: Any) -> Iterator[Any]:
    """What most tests open their pages in, one after the other."""
    context = browser.new_context(viewport={"width": DESK, "height": 844})
    yield context
    context.close()


@pytest.fixture(scope="module")
def first_tab(desk: Any) -> tuple[Any, list[str]]:
    """The tab of a test's first page, and what it says."""
    return open_first_tab(desk)


@pytest.fixture
def opened(browser: Any, first_tab: tuple[Any, list[str]], written: dict[str, Path]) -> Iterator[Callable[..., Any]]:
    """Open a page, in a browser that keeps nothing of earlier tests; at the end, it must have said nothing."""
    first, heard = first_tab
    desk, tabs = first.context, []

    def open_page(page: str | Path, width: int = DESK, before: str = "", **options: Any) -> Any:
        is_plain = width == DESK and not before and not options
        context = desk if is_plain else browser.new_context(viewport={"width": width, "height": 844}, **options)
        if before:
            context.add_init_script(before)
        if is_plain and first not in tabs:
            tab = first
        else:
            tab = context.new_page()
            listen(tab, heard)
        tabs.append(tab)
        tab.set_default_timeout(30_000)  # of a busy machine
        tab.goto((written[page] if isinstance(page, str) else page).as_uri())
        return tab

    yield open_page
    for tab in tabs:
        if tab.context is not desk:
            tab.context.close()
            continue
        tab.evaluate("localStorage.clear()")
        if tab is first:
            tab.emulate_media(media="null", color_scheme="null")
        else:
            tab.close()
    require_silence(heard)


def shown(page: Any) -> list[str]:
    """The paths of the images in the list, in its order."""
    return page.eval_on_selector_all(".sheet-name", "names => names.map(name => name.title)")


def choose(page: Any, name: str, value: str) -> None:
    page.get_by_label(name, exact=True).select_option(value)


def text(page: Any, selector: str) -> str:
    return page.locator(selector).first.inner_text()


def called(page: Any) -> set[str]:
    """The paths of the images whose cells say that they are called defective."""
    cells = ".sheet-shot.sheet-called .sheet-name"
    return set(page.eval_on_selector_all(cells, "names => names.map(name => name.title)"))


def marked(page: Any) -> dict[str, str]:
    """Path and mark of the images whose cells have one."""
    script = """cells => cells.map(cell => [".sheet-name", ".sheet-badge"].map(part => cell.querySelector(part)))
      .map(([name, badge]) => [name.title, badge.textContent])"""
    return {path: badge[2:] for path, badge in page.eval_on_selector_all(".sheet-shot", script) if badge}


def marks_kept(page: Any) -> dict[str, int]:
    return json.loads(page.evaluate("Object.values(localStorage)[0] ?? '{}'"))


def saved(page: Any) -> str:
    """The text of the table of marks, downloaded."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Download marks (CSV)").first.click()
    return Path(download.value.path()).read_text(encoding="utf-8")


# ---- The list


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_is_wider_than_the_window_and_all_can_be_read(width: int, opened: Callable[..., Any]) -> None:
    page = opened("two", width, color_scheme="dark")
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(BEYOND, width) == []
    page.locator(".sheet-shot").first.press("d")
    for pressed in "dg":
        page.locator(".sheet-shot").first.click()
        page.keyboard.press(pressed)
        assert page.evaluate(BEYOND, width) == []
        assert page.evaluate(FAINT) == []
        page.keyboard.press("Escape")
        page.emulate_media(color_scheme="light")


# Elements of the sheet that end right of the window.
BEYOND = """width => [...document.querySelectorAll(".contact-sheet-view *")]
  .filter(element => element.checkVisibility() && !element.closest("pre, svg, .sheet-frame, .sheet-stage"))
  .filter(element => element.getBoundingClientRect().right > width + 1 || element.getBoundingClientRect().left < -1)
  .map(element => element.outerHTML.slice(0, 80))"""
# Texts whose contrast to what is behind them is below 4.5 (WCAG AA).
FAINT = """() => {
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = element => { for (let at = element; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour[3] !== 0) return colour; } return [255, 255, 255]; };
  return [...document.querySelectorAll(".contact-sheet-view *")]
    .filter(element => element.checkVisibility() && !element.matches(":disabled, option, svg *, .sheet-absent"))
    .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()))
    .map(element => { const [one, other] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
      return [(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), element.outerHTML.slice(0, 80)]; })
    .filter(([contrast]) => contrast < 4.5);
}"""


def test_images_are_listed_by_rank_and_equal_scores_share_one(opened: Callable[..., Any]) -> None:
    page = opened("labelled")
    assert shown(page) == list(PATHS)
    ranks = page.eval_on_selector_all(".sheet-name b", "ranks => ranks.map(rank => Number(rank.textContent))")
    assert ranks == [1 + int((score < SCORES).sum()) for score in SCORES]
    choose(page, "Method", "1")
    assert shown(page)[0] == PATHS[-1]
    choose(page, "Order", "name")
    assert sorted(shown(page)) == sorted(PATHS)
    assert shown(page).index("-2.png") < shown(page).index("plain.png")
    choose(page, "Order", "least")
    assert shown(page)[0] == PATHS[0]


def test_filters_show_what_they_say_and_count_it(opened: Callable[..., Any]) -> None:
    page = opened("labelled")
    images = list(zip(PATHS, np.float32(THRESHOLD) < SCORES, LABELS, strict=True))
    choose(page, "Decision", "defective")
    assert shown(page) == [path for path, decided, _ in images if decided]
    choose(page, "Label", "good")
    expected = [path for path, decided, label in images if decided and label == 0]
    assert shown(page) == expected
    assert text(page, ".sheet-status") == f"Showing {len(expected)} that match, of 16 images."
    options = page.get_by_label("Label", exact=True).locator("option").all_inner_texts()
    assert options[1] == f"good ({len(expected)})"
    choose(page, "Decision", "wrong")
    choose(page, "Label", "all")
    assert shown(page) == [path for path, decided, label in images if label is not None and decided != label]
    choose(page, "Decision", "all")
    choose(page, "Defect", "=<b>")
    assert shown(page) == ["-2.png"]
    choose(page, "Defect", "all")
    choose(page, "Label", "unknown")
    assert shown(page) == [path for path, _, label in images if label is None]
    choose(page, "Label", "all")
    page.get_by_label("Name contains").fill("SCRIPT>.")
    assert shown(page) == ["<script>alert(1)</script>.png"]
    page.get_by_label("Name contains").fill("nothing has this")
    assert page.get_by_text("No image matches.").is_visible()


def test_a_folder_without_labels_has_no_choice_of_labels(opened: Callable[..., Any]) -> None:
    page = opened("unlabelled")
    assert page.get_by_label("Label", exact=True).is_hidden()
    assert page.get_by_label("Defect", exact=True).is_hidden()
    assert page.get_by_label("Mark", exact=True).is_visible()
    assert "Mark images to see the errors" in text(page, ".sheet-cost")


def test_of_a_thousand_images_few_are_drawn_until_more_are_asked_for(opened: Callable[..., Any]) -> None:
    page = opened("many")
    assert len(shown(page)) == 48
    page.get_by_role("button", name="Show 48 more").click()
    assert len(shown(page)) == 96
    assert page.evaluate("document.activeElement.querySelector('.sheet-name').title") == "48.png"
    page.get_by_role("button", name="Show all 1000").click()
    assert len(shown(page)) == 1000
    page.locator(".sheet-shot").last.scroll_into_view_if_needed()
    assert page.locator(".sheet-shot").last.is_visible()


def test_on_paper_the_shown_images_are_a_grid_without_controls(opened: Callable[..., Any]) -> None:
    page = opened("labelled")
    choose(page, "Decision", "defective")
    page.emulate_media(media="print")
    assert page.locator(".sheet-shot:visible").count() == int((np.float32(THRESHOLD) < SCORES).sum())
    assert page.locator(":is(select, input, fieldset, .sheet-more):visible").count() == 0
    assert all(page.locator(".sheet-shot img").evaluate_all("images => images.map(image => image.naturalWidth > 0)"))


# ---- The large view


def test_the_large_view_is_used_by_the_keyboard_alone(opened: Callable[..., Any]) -> None:
    page = opened("labelled")
    page.locator(".sheet-shot").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    title, dialog = page.locator(".sheet-title"), page.locator("dialog.sheet-large")
    assert dialog.is_visible()
    assert title.inner_text() == PATHS[1]
    for pressed, place in (("ArrowRight", 2), ("ArrowLeft", 1), ("End", 15), ("ArrowRight", 15), ("Home", 0)):
        page.keyboard.press(pressed)
        assert title.text_content() == PATHS[place]
    layers = {"m": dialog.locator(".sheet-map"), "o": dialog.locator(".sheet-outline")}
    for pressed, layer in layers.items():
        assert layer.count() == 1
        page.keyboard.press(pressed)
        assert layer.count() == 0
        page.keyboard.press(pressed.upper())
        assert layer.count() == 1
    page.keyboard.press("g")
    assert "Marked good." in text(page, ".sheet-facts")
    page.keyboard.press("d")
    assert "Marked defective." in text(page, ".sheet-facts")
    assert marks_kept(page) == {PATHS[0]: 1}
    page.keyboard.press("u")
    assert "Not marked." in text(page, ".sheet-facts")
    page.keyboard.press("z")
    assert marks_kept(page) == {PATHS[0]: 1}
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.querySelector('.sheet-name').title") == PATHS[1]
    assert "previous, next" in page.locator(".sheet-keys").text_content()


def test_marking_goes_through_the_list_as_it_was_opened(opened: Callable[..., Any]) -> None:
    page = opened("unlabelled")
    choose(page, "Mark", "none")
    choose(page, "Order", "least")
    paths = PATHS[::-1]
    page.locator(".sheet-shot").first.click()
    page.get_by_label("go to the next image after marking").check()
    for pressed in "dgd":
        page.keyboard.press(pressed)
    assert marks_kept(page) == {paths[0]: 1, paths[1]: 0, paths[2]: 1}
    assert page.locator(".sheet-title").text_content() == paths[3]
    page.keyboard.press("z")
    assert page.locator(".sheet-title").text_content() == paths[2]
    page.keyboard.press("Escape")
    assert sorted(shown(page)) == sorted(paths[2:])


def test_marking_in_the_list_stays_where_it_is(opened: Callable[..., Any]) -> None:
    page = opened("unlabelled")
    choose(page, "Mark", "none")
    page.locator(".sheet-shot").nth(1).focus()
    for pressed in "dg":
        page.keyboard.press(pressed)
    assert marks_kept(page) == {PATHS[1]: 1, PATHS[2]: 0}
    assert page.evaluate("document.activeElement.querySelector('.sheet-name').title") == PATHS[3]


def test_a_swipe_leads_to_the_next_image(opened: Callable[..., Any]) -> None:
    page = opened("labelled", PHONE, has_touch=True, is_mobile=True)
    page.locator(".sheet-shot").first.tap()
    swipe = """([from, to]) => { const stage = document.querySelector(".sheet-stage");
      const send = (kind, clientX) =>
        stage.dispatchEvent(new PointerEvent(kind, {clientX, clientY: 200, pointerType: "touch"}));
      send("pointerdown", from); send("pointerup", to); }"""
    page.evaluate(swipe, [300, 100])
    assert page.locator(".sheet-title").inner_text() == PATHS[1]
    page.evaluate(swipe, [100, 300])
    assert page.locator(".sheet-title").inner_text() == PATHS[0]
    page.evaluate(swipe, [100, 110])
    assert page.locator(".sheet-title").inner_text() == PATHS[0]


def test_an_image_without_a_score_or_map_is_shown_last(tmp_path: Path, opened: Callable[..., Any]) -> None:
    data = sheet()
    (one, _) = data["methods"]
    for name in ("scores", "peaks", "decisions", "maps"):
        one[name][0] = None
    page = opened(write_page(tmp_path / "page.html", data))
    assert shown(page) == [*PATHS[1:], PATHS[0]]
    page.get_by_label("Threshold of peaks, as a number").fill("-9")
    assert called(page) == set(PATHS[1:])
    page.locator(".sheet-shot").last.click()
    assert "score unknown · no decision" in text(page, ".sheet-facts")
    assert page.locator("dialog .sheet-map").count() == 0


@pytest.mark.parametrize("beside", [False, True])
def test_the_map_has_the_colours_of_the_scale(beside: bool, tmp_path: Path, opened: Callable[..., Any]) -> None:
    data = sheet()
    if beside:
        Image.fromarray(maps()[0]).save(tmp_path / "map ü.png")
        data["methods"][0]["maps"] = ["map%20%C3%BC.png"] * len(PATHS)
    page = opened(write_page(tmp_path / "page.html", data))
    page.locator(".sheet-shot").first.click()
    page.keyboard.press("o")
    page.get_by_label("opacity of the map").fill("100")
    page.wait_for_function("document.querySelector('.sheet-stage .sheet-map').complete")
    seen = np.asarray(Image.open(io.BytesIO(page.locator(".sheet-stage .sheet-picture").screenshot())).convert("RGB"))
    scale = colour_scale([np.linspace(0, 1, 8)], "inferno")
    painted = ColourScale(0.0, 255.0, scale.colours).paint(maps()[0].astype(float))
    rows, columns = (np.arange(count) + 0.5 for count in GRID)
    middles = seen[
        np.ix_((rows / GRID[0] * seen.shape[0]).astype(int), (columns / GRID[1] * seen.shape[1]).astype(int))
    ]
    assert np.abs(middles.astype(int) - painted.astype(int)).max() <= 12


# ---- The threshold


def test_another_threshold_decides_and_costs_what_python_says(opened: Callable[..., Any]) -> None:
    page = opened("labelled")
    known = np.array([label is not None for label in LABELS])
    defective = np.array([label == 1 for label in LABELS])
    auroc = roc_auc_score(defective[known], SCORES[known])
    for score in [*SCORES[::3], -1, 5]:
        for threshold in (float(score), float(score) - 0.01, float(score) - 1e-12):
            page.get_by_label("Threshold of peaks, as a number").fill(repr(threshold))
            decided = np.float32(threshold) < SCORES
            assert called(page) == {path for path, is_called in zip(PATHS, decided, strict=True) if is_called}
            counts = decision_counts(decided[known], defective[known]).sum(axis=0)
            metrics = decision_metrics(counts)
            shares = {name: f"{100 * metrics[f'decision_{name}']:.1f} %" for name in ("precision", "recall", "f1")}
            assert text(page, ".sheet-cost") == (
                f"{decided.sum()} of 16 images called defective. Against 14 labels: "
                f"{counts[1]} false alarm{'' if counts[1] == 1 else 's'}, {counts[2]} missed; "
                f"precision {shares['precision']}, recall {shares['recall']}, F1 {shares['f1']}. "
                f"Image AUROC, for any threshold: {100 * auroc:.1f} %."
            )


def test_the_slider_goes_beyond_all_scores_and_back_to_the_workflows_threshold(opened: Callable[..., Any]) -> None:
    page = opened("labelled")
    at_first = called(page)
    assert at_first == {path for path, score in zip(PATHS, SCORES, strict=True) if score > np.float32(THRESHOLD)}
    slider = page.get_by_label("Threshold of peaks", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    assert len(called(page)) == 16
    page.keyboard.press("End")
    assert called(page) == set()
    assert "precision 0.0 %, recall 0.0 %, F1 0.0 %" in text(page, ".sheet-cost")
    choose(page, "Decision", "defective")
    page.keyboard.press("Tab")
    slider.focus()
    page.keyboard.press("Home")
    assert len(shown(page)) == 16
    page.get_by_role("button", name="Reset to the workflow's").click()
    assert set(shown(page)) == at_first
    assert page.get_by_role("button", name="Reset to the workflow's").is_disabled()


def test_with_a_threshold_for_each_image_the_slider_starts_as_decided(opened: Callable[..., Any]) -> None:
    page = opened("labelled")
    choose(page, "Method", "1")
    slider, number = (page.get_by_label(f"Threshold of peaks{more}", exact=True) for more in ("", ", as a number"))
    assert called(page) == set(PATHS[::2])
    assert "gives each image its own threshold" in text(page, ".sheet-rule")
    assert (number.input_value(), number.get_attribute("placeholder")) == ("", "as decided")
    assert slider.get_attribute("aria-valuetext") == "as decided"
    assert page.locator(".sheet-cut").count() == 0
    assert yaml.safe_load(page.locator(".sheet-keep pre").text_content()) is None
    number.fill("1")
    assert called(page) == {path for path, score in zip(PATHS, SCORES[::-1], strict=True) if score > 1}
    assert "is above 1." in text(page, ".sheet-rule")
    slider.focus()
    page.keyboard.press("Home")
    assert len(called(page)) == 16
    page.get_by_role("button", name="Reset to the workflow's").click()
    assert called(page) == set(PATHS[::2])
    choose(page, "Order", "nearest")
    own = np.where(np.arange(16) % 2, 3.0, -1.0)
    order = np.argsort(np.abs(SCORES[::-1] - own), kind="stable")
    assert shown(page) == [PATHS[place] for place in order]


def test_images_are_ranked_by_scores_and_decided_by_peaks(tmp_path: Path, opened: Callable[..., Any]) -> None:
    peaks = [float(peak) for peak in np.roll(SCORES, 5)]
    page = opened(write_page(tmp_path / "page.html", sheet(methods=[method("mutual", SCORES, peaks=peaks)])))
    assert shown(page) == list(PATHS)
    for threshold in (THRESHOLD, 0.5):
        page.get_by_label("Threshold of peaks, as a number").fill(repr(threshold))
        assert called(page) == {path for path, peak in zip(PATHS, peaks, strict=True) if peak > threshold}
    page.locator(".sheet-shot").first.click()
    assert "Highest value of its map (peak) 0.3571, not above your threshold 0.5." in text(page, ".sheet-facts")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"measure": "p_value", "significance": [0.0213] * 16},
            "Highest value of its map (peak) 1.286, above the threshold 0.8. P-value 0.021: about this share of "
            "normal images has such a high peak.",
        ),
        (
            {"measure": "false_alarms", "significance": [3.0e-7] * 16, "localises": False},
            "Image score 1.286, above the threshold 0.8. False alarms below 0.001: expected "
            "number of patches as anomalous as this in a normal image.",
        ),
        ({"thresholds": None}, "Highest value of its map (peak) 1.286; nothing exceeds the threshold."),
        ({"thresholds": float(SCORES[0])}, "(peak) 1.286, not above the threshold 1.286."),
        ({"thresholds": float(SCORES[0]) - 1e-6}, "(peak) 1.28571427, above the threshold 1.28571327."),
    ],
    ids=["p-value", "false alarms of scores", "nothing", "equal", "nearly equal"],
)
def test_the_large_view_says_why(
    changed: dict[str, Any], said: str, tmp_path: Path, opened: Callable[..., Any]
) -> None:
    page = opened(write_page(tmp_path / "page.html", sheet(methods=[method("mutual", SCORES, **changed)])))
    page.locator(".sheet-shot").first.click()
    assert said in text(page, ".sheet-facts")


def test_a_threshold_above_everything_calls_nothing_until_the_slider_moves(
    tmp_path: Path, opened: Callable[..., Any]
) -> None:
    alone = {"thresholds": None, "localises": False}
    page = opened(write_page(tmp_path / "page.html", sheet(methods=[method("text", SCORES, **alone)])))
    assert called(page) == set()
    assert text(page, ".sheet-rule").endswith("infinite: no image is called defective.")
    assert yaml.safe_load(page.locator(".sheet-keep pre").text_content()) is None
    page.get_by_label("Threshold of image scores, as a number").fill("0.8")
    assert called(page) == {path for path, score in zip(PATHS, SCORES, strict=True) if score > 0.8}
    assert "if its image score is above 0.8." in text(page, ".sheet-rule")


def test_the_threshold_is_configuration_that_decides_the_same(tmp_path: Path, opened: Callable[..., Any]) -> None:
    names = {"yes": 1, "-1": 1e-9, "a: b #c": 1e25, "ü\x85'\"": -3}
    scores = {name: (SCORES * np.float32(factor)).astype(np.float32) for name, factor in names.items()}
    methods = [method(name, values, thresholds=float(values[5])) for name, values in scores.items()]
    seeded = method("bank-seed1", SCORES, entry="bank", pixel_threshold=0.5)
    fused = method("fusion", SCORES, entry=None)
    page = opened(write_page(tmp_path / "page.html", sheet(methods=[*methods, seeded, fused])))
    for place, (name, values) in enumerate(scores.items()):
        choose(page, "Method", str(place))
        page.get_by_label("Threshold of peaks", exact=True).fill("600")
        entry = yaml.safe_load(page.locator(".sheet-keep pre").text_content())["methods"][name]["threshold"]
        rule = THRESHOLDS.build(entry["rule"], entry["params"], where="threshold")
        peaks = [np.full(GRID, value, np.float32) for value in values]
        decided = rule.decide(Evidence(peaks, values)).decided
        expected = {path for path, is_called in zip(PATHS, decided, strict=True) if is_called}
        assert called(page) == expected
        assert 0 < len(expected) < 16
        typed = float(f"{values[5]:.0e}")
        page.get_by_label("Threshold of peaks, as a number").fill(f"{typed:.0e}")
        entry = yaml.safe_load(page.locator(".sheet-keep pre").text_content())["methods"][name]["threshold"]
        assert entry == {"rule": "fixed", "params": {"image": typed}}
    choose(page, "Method", "4")
    threshold = {"rule": "fixed", "params": {"image": THRESHOLD, "pixel": 0.5}}
    assert yaml.safe_load(page.locator(".sheet-keep pre").text_content()) == {
        "methods": {"bank": {"threshold": threshold}}
    }
    choose(page, "Method", "5")
    assert yaml.safe_load(page.locator(".sheet-keep pre").text_content()) is None


# ---- Marks


def test_marks_survive_a_reload_and_are_counted_undone_and_cleared(opened: Callable[..., Any]) -> None:
    page = opened("unlabelled")
    page.locator(".sheet-shot").first.focus()
    for pressed in "dgdgdg":
        page.keyboard.press(pressed)
        page.keyboard.press("ArrowRight")
    assert text(page, ".sheet-tally") == "3 marked good, 3 defective, 10 not marked."
    assert "Against 6 marks:" in text(page, ".sheet-cost")
    page.reload()
    assert marked(page) == dict(zip(PATHS[:6], ["defective", "good"] * 3, strict=True))
    choose(page, "Mark", "good")
    assert shown(page) == list(PATHS[1:6:2])
    choose(page, "Mark", "all")
    clear = page.get_by_role("button", name="Clear marks…")
    clear.click()
    page.get_by_role("button", name="Keep them").click()
    assert len(marked(page)) == 6
    clear.click()
    page.get_by_role("button", name="Clear them").click()
    assert marked(page) == {}
    assert page.evaluate("localStorage.length") == 0
    page.get_by_role("button", name="Undo").first.click()
    assert len(marked(page)) == len(marks_kept(page)) == 6


def test_two_windows_add_to_each_others_marks(opened: Callable[..., Any]) -> None:
    page = opened("unlabelled")
    other = opened("unlabelled")
    badges = "document.querySelectorAll('.sheet-badge:not(:empty)').length"
    page.locator(".sheet-shot").first.press("d")
    other.wait_for_function(f"{badges} === 1")  # a browser takes its time to tell the other window
    other.locator(".sheet-shot").nth(1).press("g")
    page.wait_for_function(f"{badges} === 2")
    assert marks_kept(page) == {PATHS[0]: 1, PATHS[1]: 0}
    add = "key => localStorage.setItem(key, JSON.stringify({...JSON.parse(localStorage.getItem(key)), 'plain.png': 1}))"
    page.evaluate(add, page.evaluate("Object.keys(localStorage)[0]"))  # of which no window is told
    page.locator(".sheet-shot").nth(2).press("g")
    assert marks_kept(page) == {PATHS[0]: 1, PATHS[1]: 0, PATHS[2]: 0, "plain.png": 1}


def test_marks_of_another_category_data_set_or_root_are_not_taken(tmp_path: Path, opened: Callable[..., Any]) -> None:
    page = opened("two")
    page.locator(".sheet-shot").first.press("d")
    assert marked(page) == {PATHS[0]: "defective"}
    assert page.locator(".sheet-badge:not(:empty)").count() == 1
    for number, changed in enumerate(({"root": "elsewhere"}, {"category": "tray"}, {"dataset": "x"}, {})):
        page.goto(write_page(tmp_path / f"{number}.html", sheet(labels=(None,), **changed)).as_uri())
        assert marked(page) == ({} if changed else {PATHS[0]: "defective"})


FORBIDDEN = "get() { throw new DOMException('no', 'SecurityError'); }"
FULL = "() => { throw new DOMException('full', 'QuotaExceededError'); }"


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (f"Object.defineProperty(window, 'localStorage', {{{FORBIDDEN}}})", "does not let the page store marks"),
        (f"Storage.prototype.setItem = {FULL}", "has no room left for marks"),
    ],
)
def test_a_browser_that_keeps_nothing_says_so_and_marks_all_the_same(
    before: str, why: str, opened: Callable[..., Any]
) -> None:
    page = opened("unlabelled", before=before)
    page.locator(".sheet-shot").first.focus()
    for pressed in ("d", "ArrowRight", "g"):
        page.keyboard.press(pressed)
    assert marked(page) == {PATHS[0]: "defective", PATHS[1]: "good"}
    assert why in text(page, ".sheet-notice")
    assert saved(page).count("good\n") == 1
    page.get_by_role("button", name="Undo").first.click()
    assert marked(page) == {PATHS[0]: "defective"}


def test_the_table_of_marks_is_read_by_the_layout_and_computed_by_no_spreadsheet(
    tmp_path: Path, opened: Callable[..., Any], write_png: Callable[..., Path]
) -> None:
    page = opened("two")
    page.locator(".sheet-shot").first.focus()
    for pressed in "dg" * 7:
        page.keyboard.press(pressed)
        page.keyboard.press("ArrowRight")
    table = saved(page)
    for path in (*PATHS, *OTHERS):
        write_png(tmp_path / path)
    (tmp_path / "marks.csv").write_text(table, encoding="utf-8")
    layout = CsvLayout()
    assert layout.categories(tmp_path / "marks.csv") == ["=1+1", "lid"]
    expected = dict(zip(PATHS, [1, 0] * 7, strict=False))
    for category, paths in (("lid", PATHS), ("=1+1", OTHERS)):
        items = layout.items(tmp_path / "marks.csv", category)
        assert all(item.path.is_file() and item.split == "test" for item in items)
        assert {item.image_id: item.label for item in items} == {path: expected.get(path) for path in paths}
    for separator in ",;\t":
        cells = [cell for row in csv.reader(io.StringIO(table), delimiter=separator) for cell in row]
        assert [cell for cell in cells if encoded(cell).startswith("'") and not cell.startswith("'")] == []
    page.get_by_label("Images without a mark are").first.select_option("leave")
    page.get_by_label("with the other categories of this page").first.uncheck()
    left = list(csv.DictReader(io.StringIO(saved(page))))
    assert [row["label"] for row in left] == ["defective", "good"] * 7


def test_the_page_says_where_to_put_the_table_and_what_to_write(opened: Callable[..., Any]) -> None:
    page = opened("two")
    first, second = (yaml.safe_load(each)["dataset"] for each in page.locator(".sheet-where pre").all_text_contents())
    assert first == {"layout": "csv", "root": "path/to/the/images/parts_co_marks.csv"}
    assert second == {"layout": "csv", "root": "my photos/ä/parts_co_marks.csv"}
    with page.expect_download() as download:
        page.get_by_role("button", name="Download marks (CSV)").first.click()
    assert download.value.suggested_filename == "parts_co_marks.csv"


def test_good_references_are_listed_for_training(tmp_path: Path, opened: Callable[..., Any]) -> None:
    page = opened(write_page(tmp_path / "page.html", sheet(references=["../good/=1.png", "/elsewhere/2.png"])))
    assert "and the normal references. It has no masks and no defect types." in text(page, ".sheet-where")
    rows = list(csv.DictReader(io.StringIO(saved(page))))
    assert [list(row.values()) for row in rows[16:]] == [
        ["../good/=1.png", "lid", "train", "good"],
        ["/elsewhere/2.png", "lid", "train", "good"],
    ]


def test_labels_that_are_known_are_kept_unless_a_mark_says_otherwise(opened: Callable[..., Any]) -> None:
    page = opened("labelled")
    page.locator(".sheet-shot").first.press("g")
    page.locator(".sheet-shot").nth(4).press("d")
    labels = {row["path"].removeprefix("./"): row["label"] for row in csv.DictReader(io.StringIO(saved(page)))}
    known = {path: {None: "", 0: "good", 1: "defective"}[label] for path, label in zip(PATHS, LABELS, strict=True)}
    assert labels == known | {PATHS[0]: "good", PATHS[4]: "defective"}
    assert "Against 13 labels and 2 marks:" in text(page, ".sheet-cost")


def test_marks_are_loaded_from_a_table_on_another_machine(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened("two")
    page.locator(".sheet-grid").nth(1).locator(".sheet-shot").first.focus()
    for pressed in "dg" * 8:
        page.keyboard.press(pressed)
        page.keyboard.press("ArrowRight")
    expected = dict(zip(OTHERS, [1, 0] * 8, strict=True))
    assert marks_kept(page) == expected
    table = tmp_path / "marks.csv"
    table.write_text(saved(page), encoding="utf-8-sig")
    page.evaluate("localStorage.clear()")
    other = opened("two")
    other.locator("input[type=file]").nth(1).set_input_files(table)
    other.get_by_text("16 marks loaded; 16 lines are not about images of this sheet").wait_for()
    assert marks_kept(other) == expected


TABLES = (
    ("path;label\n'x'.png;good\n./plain.png;1\n\"{x} 1.png\";ok\n", "2 marks loaded; 1 line is not about", 2),
    ("path,label\nplain.png,good\nx.png,perhaps\n", "was not loaded: line 3: the label is 'perhaps'", 0),
    ("name,label\nplain.png,good\n", "was not loaded: its first line does not name the columns", 0),
    ('path,label\n"plain.png,good\n', "was not loaded: line 2 has a quote that is not closed", 0),
    ("", "was not loaded: its first line does not name", 0),
    ("path,label,category\nplain.png,good,tray\n", "0 marks loaded; 1 line is not about", 0),
    ("path,label\nplain.png,defective\n", "1 mark loaded.", 1),
)


def test_a_table_is_loaded_whole_or_not_at_all(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened("unlabelled")
    for number, (table, said, count) in enumerate(TABLES):
        (tmp_path / f"{number}.csv").write_text(table, encoding="utf-8")
        page.locator("input[type=file]").set_input_files(tmp_path / f"{number}.csv")
        page.get_by_text(f"{number}.csv").filter(has_text=said).wait_for()
        assert len(marked(page)) == count
        if count:
            page.get_by_role("button", name="Undo").first.click()


def test_everything_that_can_be_used_has_a_name(opened: Callable[..., Any]) -> None:
    page = opened("labelled")
    page.locator(".sheet-shot").first.click()
    nameless = """elements => elements.filter(element => element.checkVisibility() || element.closest("dialog"))
      .filter(element => !(element.ariaLabel || element.textContent.trim() || element.labels?.length))
      .map(element => element.outerHTML.slice(0, 100))"""
    used = ".contact-sheet-view :is(button, select, summary, input:not([hidden]), dialog)"
    assert page.eval_on_selector_all(used, nameless) == []
    tree = page.locator("dialog.sheet-large").aria_snapshot()
    assert 'button "Map" [pressed]' in tree
    assert 'button "Good"' in tree
    page.keyboard.press("Escape")
    assert page.locator(".sheet-shot").nth(1).get_attribute("aria-label") == (
        "Rank 2: ü/ä b.PNG, score 1.143, called defective, label: defective: hole"
    )


# ---- From a folder without labels to figures

PHOTOGRAPHS = PATHS[:12]
DEFECTS = {place: 2 + place for place in (0, 3, 5, 8, 10)}  # widths of dark lines, px


def draw_photographs(folder: Path) -> None:
    """Grey noise, in some a dark line."""
    for place, path in enumerate(PHOTOGRAPHS):
        pixels = np.random.default_rng(place).integers(110, 140, (64, 80, 3), dtype=np.uint8)
        pixels[30 : 30 + DEFECTS.get(place, 0), 20:60] = 100
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / path)


def run(dataset: dict[str, Any]) -> Path:
    """Scores, evaluations, tables and the page of a data set; returns the page."""
    config = Sound("marked", lambda server: None, dataset, {"methods__memory_bank": None, "refiners": {}}).config()
    outcome = Chain().run(config)
    assert outcome.status == 0, outcome.said
    settings = Settings(config)
    (category,) = settings.data.categories
    base = Path("results/t")
    images, manifest = base / category / "images.csv", base / category / "manifest.csv"
    thumbnails, layers, plot = (base / category / name for name in ("thumbnails.h5", "layers.h5", "plot.png"))
    of_method = {
        "manifest": manifest,
        "scores": base / category / "scores/mutual.h5",
        "decisions": base / category / "decisions/mutual.h5",
        "masks": None,
        "refiner": "none",
        "evaluation": base / category / "metrics/mutual.json",
    }
    draw_thumbnails(image_list=images, longer_side=64, output=thumbnails, provenance={})
    draw_layers(**of_method, colormap="inferno", output=layers, provenance={})
    Image.new("RGB", (30, 20), "white").save(plot)  # where plots of curves and histograms would be
    metrics = base / "tables/metrics.csv"
    build_page(
        dataset="t",
        metrics_csv=metrics if metrics.exists() else None,
        refinement_csv=None,
        evaluations=[of_method["evaluation"]],
        galleries=[],
        summary_plot=None,
        curve_plots={category: plot} if metrics.exists() else {},
        histogram_plots={category: plot},
        configuration=config,
        method_summaries={"mutual": {"scorer": "mutual", "summary": "", "reference": "", "setting": "zero-shot-batch"}},
        output=base / "report.html",
        image_lists={category: images},
        thumbnails={category: thumbnails},
        layers=[layers],
        root=settings.data.folder_of_tables,
    )
    return (base / "report.html").absolute()


def test_marks_make_of_a_folder_without_labels_an_evaluated_one(
    tmp_path: Path, opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_photographs(Path("my photographs"))
    page = opened(run({"layout": "folder", "root": "my photographs"}))
    assert "Not evaluated: no image has a label." in page.locator("main").inner_text()
    assert set(shown(page)) == set(PHOTOGRAPHS)
    with ScoreReader("results/t/my photographs/scores/mutual.h5") as reader:
        scores = dict(zip(reader.image_ids, reader.image_scores, strict=True))
    assert shown(page) == sorted(scores, key=lambda path: -scores[path])
    wrong = {PHOTOGRAPHS[3], PHOTOGRAPHS[4]}  # marked against what they look like, so that the AUROC is not 1
    marks = {path: int((place in DEFECTS) != (path in wrong)) for place, path in enumerate(PHOTOGRAPHS[:10])}
    page.locator(".sheet-shot").first.click()
    for path in shown(page):
        assert page.locator(".sheet-title").text_content() == path
        if path in marks:
            page.keyboard.press("gd"[marks[path]])
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert marks_kept(page) == marks
    told = text(page, ".sheet-cost")
    written = yaml.safe_load(page.locator(".sheet-where pre").text_content())["dataset"]
    Path(written["root"]).write_text(saved(page), encoding="utf-8")

    result = run(written)
    expected = roc_auc_score(list(marks.values()), [scores[path] for path in marks])
    assert 0.3 < expected < 1
    assert f"Image AUROC, for any threshold: {100 * expected:.1f} %." in told
    with open("results/t/tables/metrics.csv", encoding="utf-8", newline="") as stream:
        (row, *_) = csv.DictReader(stream)
    assert float(row["image_auroc"]) == pytest.approx(expected, abs=1e-6)
    page = opened(result)
    assert "AUROC" in page.locator("main table").first.inner_text()
    assert f"{100 * expected:.1f}" in page.locator("main table").first.inner_text()
    assert "Against 10 labels:" in text(page, ".sheet-cost")
    choose(page, "Label", "unknown")
    assert set(shown(page)) == set(PHOTOGRAPHS[10:])
