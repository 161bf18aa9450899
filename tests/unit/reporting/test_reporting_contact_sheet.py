"""The contact sheet's data: thumbnails, maps and outlines of every test image, and where a page has them."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image
from test_reporting_page import NASTY, Page, build, draw_sheet

from browsing import DESK, listen, needs_browser
from reporting_files import GRID, THRESHOLD, Files, write_results
from zsad.data.image_list import ListedImage, write_images
from zsad.data.images import image_facts
from zsad.data.layouts.csv_table import CsvLayout
from zsad.errors import DamagedFileError, DataError
from zsad.files.digests import append_digests
from zsad.files.json_files import read_json, write_json
from zsad.files.masks import MaskReader
from zsad.files.pictures import LayerReader, ThumbnailReader, ThumbnailWriter
from zsad.files.scores import ScoreReader
from zsad.maps import at_image_size
from zsad.reporting import overlays
from zsad.reporting import page as page_module
from zsad.reporting.build_page import build_page
from zsad.reporting.draw_layers import draw_layers
from zsad.reporting.draw_thumbnails import draw_thumbnails
from zsad.reporting.options import ReportOptions
from zsad.reporting.page import HEAVIEST
from zsad.reporting.sections.contact_sheet import as_script, path_in_table

TWO = {"self_similarity": "zero-shot-single", "mutual": "zero-shot-batch"}
CATEGORIES = ("board", "ring")
HOLE = np.zeros((60, 80), bool)
HOLE[10:50, 10:60] = True
HOLE[20:40, 20:40] = False
POINT = np.zeros((60, 80), bool)
POINT[30, 40] = True
LINE = np.zeros((60, 80), bool)
LINE[:, 5] = True
ROUND = (np.mgrid[:900, :700][0] - 300) ** 2 + (np.mgrid[:900, :700][1] - 350) ** 2 < 200**2
SPECKS = np.random.default_rng(0).random((50, 40)) > 0.9


def listed(path: Path, split: str = "test", **changed: Any) -> ListedImage:
    height, width, sha256 = image_facts(path)
    return replace(ListedImage(path.name, str(path), split, height, width, sha256), **changed)


def thumbnails_of(
    folder: Path, images: list[ListedImage], longer_side: int = 100
) -> tuple[list[str], list[Image.Image]]:
    """Whose thumbnails are drawn, and the pictures."""
    write_images(folder / "images.csv", images)
    draw_thumbnails(
        image_list=folder / "images.csv", longer_side=longer_side, output=folder / "small.h5", provenance={}
    )
    with ThumbnailReader(folder / "small.h5") as reader:
        assert reader.weights.tolist() == [len(reader.picture(index)) for index in range(len(reader))]
        return reader.image_ids, [Image.open(io.BytesIO(reader.picture(index))) for index in range(len(reader))]


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((300, 200), (100, 67)),
        ((200, 300), (67, 100)),
        ((100, 40), (100, 40)),
        ((30, 20), (30, 20)),
        ((900, 2), (100, 1)),
    ],
)
def test_a_thumbnail_has_the_shape_of_its_image_and_is_never_larger(
    tmp_path: Path, size: tuple[int, int], small: tuple[int, int]
) -> None:
    Image.new("RGB", size, (200, 40, 90)).save(tmp_path / "a.png")
    _, [picture] = thumbnails_of(tmp_path, [listed(tmp_path / "a.png")])
    assert (picture.format, picture.size) == ("JPEG", small)
    assert np.abs(np.asarray(picture).reshape(-1, 3).astype(int) - (200, 40, 90)).max() < 6


def test_thumbnails_are_of_test_images_alone_in_their_order(tmp_path: Path) -> None:
    for name, grey in (("a.png", 10), ("b.png", 100), ("c.png", 200)):
        Image.new("L", (20, 20), grey).save(tmp_path / name)
    images = [listed(tmp_path / "c.png"), listed(tmp_path / "b.png", "train"), listed(tmp_path / "a.png")]
    image_ids, pictures = thumbnails_of(tmp_path, images)
    assert image_ids == ["a.png", "c.png"]
    assert [round(float(np.asarray(picture).mean()), -1) for picture in pictures] == [10, 200]


def test_a_thumbnail_is_of_the_range_of_values_that_the_image_is_read_with(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 20), 4095, np.uint16)).save(tmp_path / "a.png")
    for white, grey in ((4095.0, 255), (None, 16)):
        _, [picture] = thumbnails_of(tmp_path, [listed(tmp_path / "a.png", white=white)])
        assert float(np.asarray(picture).mean()) == pytest.approx(grey, abs=1)


def test_an_image_that_changed_since_it_was_listed_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    images = [listed(tmp_path / "a.png")]
    Image.new("L", (20, 20), 9).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png"):
        thumbnails_of(tmp_path, images)
    assert not list(tmp_path.glob("*small*"))


def test_a_writer_wants_a_picture_an_image(tmp_path: Path) -> None:
    announced = ThumbnailWriter(tmp_path / "a.h5", ["a", "b"], {})
    with pytest.raises(ValueError, match="1 pictures written, 2 announced"), announced as writer:
        writer.append(b"x")
    assert not list(tmp_path.iterdir())


def layers_of(folder: Path, files: Files, **changed: Any) -> LayerReader:
    arguments = {**vars(files), "refiner": "guided", "colormap": "inferno", **changed}
    draw_layers(**arguments, output=folder / "layers.h5", provenance={"stage": "draw_gallery"})
    return LayerReader(folder / "layers.h5")


def filled(outline: list[list[float]], shape: tuple[int, int]) -> np.ndarray:
    """The share of each pixel that lies within an odd number of polygons."""
    height, width = shape
    times = max(1, 1000 // max(shape))
    fine = np.zeros((times * height, times * width), np.uint8)
    for polygon in outline:
        corners = np.array(polygon).reshape(-1, 2) * (times * width, times * height) - 0.5
        inside = np.zeros_like(fine)
        cv2.fillPoly(inside, [np.rint(corners).astype(np.int32)], 1)
        fine ^= inside
    return cv2.resize(fine.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("mask", [HOLE, POINT, LINE, ROUND, SPECKS, ~HOLE, np.ones((3, 5), bool)])
def test_an_outline_encloses_what_is_marked(mask: np.ndarray) -> None:
    coverage = filled(overlays.polygons(mask), mask.shape)
    common, either = np.minimum(coverage, mask).sum(), np.maximum(coverage, mask).sum()
    assert common / either > 0.9


def test_an_outline_is_in_shares_has_few_corners_and_is_absent_where_nothing_is_marked() -> None:
    assert overlays.polygons(np.zeros((9, 9), bool)) == []
    [outer] = overlays.polygons(ROUND)
    assert 0 <= min(outer) < max(outer) <= 1
    assert 20 < len(outer) < 200
    assert len(overlays.polygons(HOLE)) == 2
    json.dumps(outer)


def test_maps_are_grey_on_the_patch_grid_and_on_the_scale_of_the_gallery(tmp_path: Path) -> None:
    files = write_results(tmp_path)
    with ScoreReader(files.scores) as scores:
        maps = [scores.anomaly_map(index) for index in range(len(scores))]
    scale = overlays.colour_scale(maps, "inferno")
    with layers_of(tmp_path, files) as reader:
        assert (reader.heading["low"], reader.heading["high"]) == (scale.low, scale.high)
        assert reader.heading["colours"] == scale.stops(17)
        for index, anomaly_map in enumerate(maps):
            picture = Image.open(io.BytesIO(reader.picture(index)))
            grey = np.asarray(picture)
            assert (picture.format, picture.mode, grey.shape) == ("PNG", "L", GRID)
            share = np.clip((anomaly_map - scale.low) / (scale.high - scale.low), 0, 1)
            assert np.abs(grey - 255 * share).max() <= 0.51
            assert (scale.colours[grey] == scale.paint(anomaly_map)).all()


def test_outlines_are_of_the_refiners_masks_or_else_of_the_thresholded_map(tmp_path: Path) -> None:
    files = write_results(tmp_path)
    with layers_of(tmp_path, files) as reader, MaskReader(files.masks) as masks:
        for index, outline in enumerate(reader.outlines()):
            mask = masks.mask(index)
            assert np.abs(filled(outline, mask.shape) - mask).sum() < 0.1 * mask.sum()
        assert reader.heading["refiner"] == "guided"
    with layers_of(tmp_path, files, masks=None, refiner="none") as reader, ScoreReader(files.scores) as scores:
        marked = [at_image_size(scores.anomaly_map(index), 60, 80) > THRESHOLD for index in range(len(scores))]
        assert [mask.any() for mask in marked] == [False, False, True, True]
        for mask, outline in zip(marked, reader.outlines(), strict=True):
            assert np.abs(filled(outline, mask.shape) - mask).sum() <= 0.1 * mask.sum()


def changed(evaluation: Path, **values: Any) -> None:
    write_json(evaluation, {**read_json(evaluation), **values})


def test_without_a_threshold_nothing_is_outlined(tmp_path: Path) -> None:
    files = write_results(tmp_path, decided={"region": np.inf})
    with layers_of(tmp_path, files, masks=None) as reader:
        assert reader.outlines() == [[]] * 4
        assert all(reader.weights)


def test_a_method_that_scores_images_alone_has_no_maps_and_no_outlines(tmp_path: Path) -> None:
    files = write_results(tmp_path, localises=False)
    with layers_of(tmp_path, files) as reader:
        assert reader.weights.tolist() == [0] * 4
        assert reader.outlines() == [[]] * 4
        assert reader.picture(0) == b""


def test_files_that_do_not_belong_together_are_told(tmp_path: Path) -> None:
    files = write_results(tmp_path / "a")
    with MaskReader(files.masks) as reader:
        first = reader.image_ids[0]
    other = write_results(tmp_path / "b", labels=(0, 1, 1))
    with pytest.raises(DataError, match="is missing in the manifest; run both steps again"):
        layers_of(tmp_path, files, manifest=other.manifest)
    with pytest.raises(DataError, match="has no mask of"):
        layers_of(tmp_path, files, masks=other.masks)
    for foreign in (other, write_results(tmp_path / "c", localises=False)):
        with pytest.raises(
            DataError, match=r"decisions\.h5 (and .* do not contain the same images|was made from other)"
        ):
            layers_of(tmp_path, files, decisions=foreign.decisions)
    assert first
    assert not list(tmp_path.glob("*layers*"))


@pytest.mark.parametrize(
    ("path", "root", "written"),
    [
        ("photos/a b/ä.png", "photos", "a b/ä.png"),
        ("photos/a.png", "photos/", "a.png"),
        ("photos/../b/c.png", "photos", "../b/c.png"),
        ("photos/link/../c.png", "photos", "link/../c.png"),
        ("a.png", ".", "a.png"),
        ("good/1.png", "photos", "../good/1.png"),
        ("../good/1.png", "../photos", "../good/1.png"),
        ("/data/photos/1.png", "/data/photos", "1.png"),
        ("/elsewhere/1.png", "/data/photos", "/elsewhere/1.png"),
        ("/elsewhere/1.png", "photos", "/elsewhere/1.png"),
    ],
)
def test_paths_begin_at_the_folder_of_the_images(path: str, root: str, written: str) -> None:
    assert path_in_table(path, root) == written


def test_without_a_folder_for_tables_paths_are_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_in_table("site/a.png", "") == f"{tmp_path}/site/a.png"
    assert path_in_table("/site/a.png", "") == "/site/a.png"


def test_layout_csv_finds_the_images_by_their_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From wherever they lie: within the root, beside it, and behind a link."""
    monkeypatch.chdir(tmp_path)
    for place in ("photos/a", "good", "far/away"):
        Path(place).mkdir(parents=True)
        Image.new("L", (8, 8)).save(Path(place, "1.png"))
    Path("photos/link").symlink_to(tmp_path / "far/away")
    found = ("photos/a/1.png", "good/1.png", "photos/link/1.png", str(tmp_path / "good/1.png"))
    for path in found:
        Path("photos/marks.csv").write_text(f"path\n{path_in_table(path, 'photos')}\n", encoding="utf-8")
        [item] = CsvLayout().items(Path("photos/marks.csv"), "marks")
        assert item.path.samefile(path)


@pytest.mark.parametrize("name", ["</script><b>", "<!--<script>", "\u2028", "&amp;", '"\\', "{{ 7 * 7 }}", "{% x %}"])
def test_no_name_ends_the_data_of_a_page(name: str) -> None:
    text = as_script({name: [name, float("nan"), float("inf"), 1.5, None]})
    assert json.loads(text) == {name: [name, None, None, 1.5, None]}
    assert "<" not in text
    assert "\u2028" not in text


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return build(tmp_path_factory.mktemp("sheets"), CATEGORIES, TWO, sheets=True)


def made(
    arguments: Mapping[str, Any], where: Path, heaviest: float = HEAVIEST, folder: str = "report"
) -> dict[str, bytes]:
    """The files that are written, by their paths below ``where``."""
    build_page(**{**arguments, "output": where / "report.html"}, folder=where / folder, heaviest=heaviest)
    return {str(path.relative_to(where)): path.read_bytes() for path in sorted(where.rglob("*")) if path.is_file()}


def sheets_of(page: bytes) -> list[dict[str, Any]]:
    """The data of each contact sheet of a page."""
    text = page.decode("utf-8")
    Page(text)
    parts = text.split('<script type="application/json" class="contact-sheet-data"')[1:]
    return [json.loads(part.partition(">")[2].partition("</script>")[0]) for part in parts]


def addresses(sheet: Mapping[str, Any]) -> list[str]:
    """Of all pictures."""
    of_maps = [address for method in sheet["methods"] for address in method["maps"] if address]
    return [image["thumbnail"] for image in sheet["images"]] + of_maps


def test_a_page_has_all_images_of_every_category_with_what_each_method_says(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    files = made(arguments, tmp_path)
    assert list(files) == ["report.html"]
    sheets = sheets_of(files["report.html"])
    assert [sheet["category"] for sheet in sheets] == list(CATEGORIES)
    for sheet in sheets:
        names = [f"{index:03d}.png" for index in range(4)]
        assert [image["id"].rpartition("/")[2] for image in sheet["images"]] == names
        assert [image["label"] for image in sheet["images"]] == [0, 0, 1, 1]
        assert {(image["width"], image["height"]) for image in sheet["images"]} == {(80, 60)}
        assert [method["method"] for method in sheet["methods"]] == ["mutual", "self_similarity"]  # the best one first
        assert len(sheet["colours"]) == 17
        root = Path(sheet["root"])
        assert all((root / image["path"]).is_file() for image in sheet["images"])
        for method in sheet["methods"]:
            assert method["scores"] == [0.25, 0.5, 0.75, 1.0]
            assert method["decisions"] == [0, 0, 1, 1]
            assert method["peaks"] == [0.25, 0.5, 0.75, 1.0]
            assert method["thresholds"] == [THRESHOLD] * 4
            assert (method["pixel_threshold"], method["localises"], method["measure"]) == (THRESHOLD, True, "")
            assert method["significance"] == [None] * 4
            assert len(method["maps"]) == len(method["outlines"]) == len(method["notes"]) == 4
    for address in map(addresses, sheets):
        for picture in address:
            head, _, content = picture.partition(",")
            Image.open(io.BytesIO(base64.b64decode(content))).load()
            assert head in ("data:image/jpeg;base64", "data:image/png;base64")


def test_names_of_all_kinds_stand_in_the_page_as_they_are(tmp_path: Path) -> None:
    arguments = build(tmp_path, [NASTY], TWO, labels=(None, None), sheets=True)
    page = arguments["output"].read_bytes()
    [sheet] = sheets_of(page)
    assert sheet["category"] == NASTY
    assert [image["label"] for image in sheet["images"]] == [None, None]
    [section] = [tag for tag in Page(page.decode()).attributes("section") if tag.get("class") == "contact-sheet"]
    assert section["data-category"] == NASTY
    assert section["id"] == "images-1"


LIMITS = [0.1, 0.6, np.inf, 0.9]
DECIDED: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (
        {
            "region": LIMITS,
            "pixel": [0.1, 0.2, 0.3, 0.4],
            "significance": [0.5, 2.5, 3, 0.01],
            "measure": "false_alarms",
        },
        {"thresholds": [0.1, 0.6, None, 0.9], "decisions": [1, 0, 0, 1], "significance": [0.5, 2.5, 3, 0.01]},
    ),
    (
        {"region": np.inf, "significance": [0.5, np.nan, 0.25, 0.2], "measure": "p_value"},
        {"thresholds": [None] * 4, "decisions": [0] * 4, "significance": [0.5, None, 0.25, 0.2]},
    ),
    ({"region": -1.0, "pixel": -2.0}, {"thresholds": [-1.0] * 4, "decisions": [1] * 4, "pixel_threshold": -2.0}),
)


@pytest.mark.parametrize(("decided", "told"), DECIDED)
@pytest.mark.parametrize("localises", [True, False])
def test_the_sheet_is_told_what_each_image_is_decided_by(
    arguments: dict[str, Any], tmp_path: Path, decided: dict[str, Any], told: dict[str, Any], localises: bool
) -> None:
    kind = {"category": "ring", "method": "mutual", "setting": "zero-shot-batch"}
    files = write_results(tmp_path / "other", **kind, localises=localises, decided=decided)
    evaluations = [*arguments["evaluations"][:-1], files.evaluation]
    page = made({**arguments, "evaluations": evaluations}, tmp_path / "made")["report.html"]
    [method] = [one for one in sheets_of(page)[1]["methods"] if one["method"] == "mutual"]
    assert (method["localises"], method["measure"]) == (localises, decided.get("measure", ""))
    assert method["peaks"] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    expected = {**told, **({} if localises else {"pixel_threshold": None})}
    for name, values in expected.items():
        rounded = np.array(method[name], float), np.array(values, float)
        assert np.allclose(*rounded, equal_nan=True), name


def test_outlines_are_of_the_regions_that_stand_out(tmp_path: Path) -> None:
    """A region above the threshold of pixels is left out where its peak does not reach that of regions."""
    spots = np.zeros(GRID)
    spots[1, 1:3], spots[4, 5:7] = 0.6, (0.6, 0.9)
    files = write_results(tmp_path, labels=(0, 1), maps=[spots, spots], decided={"region": [0.8, 0.95], "pixel": 0.5})
    with layers_of(tmp_path, files, masks=None, refiner="none") as reader:
        [outline], none = reader.outlines()
    x, y = np.array(outline).reshape(-1, 2).T
    assert x.min() > 0.5
    assert y.min() > 0.5
    assert none == []


def embedded(page: bytes) -> bool:
    return all(address.startswith("data:") for sheet in sheets_of(page) for address in addresses(sheet))


def test_more_images_than_a_page_may_hold_lie_beside_it(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "MOST_EMBEDDED", 8)
    assert embedded(made(arguments, tmp_path / "few")["report.html"])
    monkeypatch.setattr(page_module, "MOST_EMBEDDED", 7)
    files = made(arguments, tmp_path / "many", folder="my report #1")
    sheets = sheets_of(files.pop("report.html"))
    used = [address for sheet in sheets for address in addresses(sheet)]
    assert sorted(map(unquote, used)) == sorted(files)
    assert all(address.isascii() and " " not in address and "#" not in address for address in used)
    assert len(used) == len(set(used)) == 2 * 4 * 3
    whole = sheets_of(made(arguments, tmp_path / "again")["report.html"])
    for content in files.values():
        Image.open(io.BytesIO(content)).load()
    for sheet, other in zip(sheets, whole, strict=True):
        assert {**sheet, "images": 0, "methods": 0} == {**other, "images": 0, "methods": 0}


@needs_browser
@pytest.mark.parametrize("heaviest", [HEAVIEST, 0.001])
def test_pictures_beside_a_page_are_found_from_where_it_lies(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Any, heaviest: float
) -> None:
    """By a browser, from the disk, in folders whose names mean something in addresses."""
    monkeypatch.setattr(page_module, "MOST_EMBEDDED", 0)
    where, folder = tmp_path / "50% of #1 ?", "my report #1 ä?"
    files = made(arguments, where, heaviest, folder=folder)
    heard: list[str] = []
    page = browser.new_page(viewport={"width": DESK, "height": 900})
    listen(page, heard)
    for path in [path for path in files if path.endswith(".html") and sheets_of(files[path])]:
        page.goto((where / path).as_uri())
        for sheet in page.locator(".contact-sheet").all():
            sheet.get_by_label("map").first.check()
            for picture in sheet.locator(".sheet-grid img").all():
                picture.scroll_into_view_if_needed()
                picture.evaluate("image => image.decode()")
                assert picture.evaluate("image => image.naturalWidth") > 0
            assert sheet.locator(".sheet-grid img").count() == 8
    page.close()
    assert heard == []


def test_images_that_were_left_out_are_told(arguments: dict[str, Any], tmp_path: Path) -> None:
    checks = {}
    for category, count in zip(CATEGORIES, (1, 2), strict=True):
        checks[category] = tmp_path / f"{category}.json"
        unreadable = [{"image_id": f"{number}.png", "reason": "it is empty"} for number in range(count)]
        write_json(checks[category], {"warnings": [], "unreadable": unreadable})
    page = made({**arguments, "checks": checks}, tmp_path / "made")["report.html"].decode()
    assert "1 unusable image is not shown." in page
    assert "2 unusable images are not shown." in page


def test_a_page_that_is_light_without_its_pictures_stays_one(arguments: dict[str, Any], tmp_path: Path) -> None:
    weight = len(made(arguments, tmp_path / "whole")["report.html"]) / 1e6
    files = made(arguments, tmp_path / "lighter", weight - 1e-6)
    assert not [path for path in files if path.startswith("report/") and path.endswith(".html")]
    page = files.pop("report.html")
    assert len(page) < weight * 1e6 - 1
    assert not embedded(page)
    assert "report</code>: move or send this folder" in page.decode()
    assert len(files) == 24


def test_pages_of_categories_hold_their_pictures_or_have_them_beside(arguments: dict[str, Any], tmp_path: Path) -> None:
    """Weighed each by itself: what is too heavy for the one page may be light enough for two."""
    whole = made(arguments, tmp_path / "whole")["report.html"]
    split = made(arguments, tmp_path / "split", 0.001)
    pages = {path: content for path, content in split.items() if path.endswith(".html")}
    assert sorted(pages) == ["report.html", "report/board.html", "report/ring.html"]
    for path in ("report/board.html", "report/ring.html"):
        [sheet] = sheets_of(pages[path])
        for address in addresses(sheet):
            assert f"report/{unquote(address)}" in split
    assert len(split) == 3 + 24
    assert not sheets_of(pages["report.html"])
    sheets = sheets_of(whole)
    of_board = len(pages["report/board.html"]) + sum(map(len, addresses(sheets[0])))
    parted = made(arguments, tmp_path / "parted", (of_board + 100) / 1e6)
    assert sorted(parted) == sorted(pages)
    assert all(embedded(parted[path]) for path in pages)


def test_the_same_files_are_made_every_time_and_those_of_an_earlier_run_are_gone(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    first = made(arguments, tmp_path, 0.001)
    assert made(arguments, tmp_path, 0.001) == first
    assert list(made(arguments, tmp_path)) == ["report.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "report.html"]


@pytest.mark.parametrize("heaviest", [HEAVIEST, 0.001])
def test_nothing_is_left_where_a_picture_cannot_be_written(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heaviest: float
) -> None:
    monkeypatch.setattr(page_module, "MOST_EMBEDDED", 0)
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "00003.png":
            raise OSError(28, os.strerror(28), str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match=r"cannot be written .*space"):
        made(arguments, tmp_path, heaviest)
    assert not list(tmp_path.iterdir())


def test_a_damaged_or_foreign_file_of_pictures_is_one_sentence(arguments: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "thumbnails.h5"
    shutil.copy(arguments["thumbnails"]["ring"], path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError):
        made({**arguments, "thumbnails": {**arguments["thumbnails"], "ring": path}}, tmp_path / "made")
    assert not (tmp_path / "made/report.html").exists()
    with pytest.raises(DamagedFileError, match="is not a thumbnail file"):
        made(
            {**arguments, "thumbnails": {**arguments["thumbnails"], "ring": arguments["layers"][0]}}, tmp_path / "made"
        )


def hostile(source: Path, path: Path, change: Callable[[h5py.File], None]) -> Path:
    """A copy of a file that HDF5 itself changes, with digests that agree."""
    shutil.copy(source, path)
    with h5py.File(path, "r+") as file:
        change(file)
    append_digests(path)
    return path


def shifted(file: h5py.File) -> None:
    file["offset"][1] = file["offset"][2] + 1


def longer(file: h5py.File) -> None:
    file["offset"][-1] += 1


def headless(file: h5py.File) -> None:
    file.attrs["heading"] = "{}"


def no_polygons(file: h5py.File) -> None:
    file["outline"][0] = "nothing"


def elsewhere(file: h5py.File) -> None:
    del file["packed"]
    file["packed"] = h5py.ExternalLink("/etc/passwd", "/packed")


@pytest.mark.parametrize("change", [shifted, longer, headless, no_polygons, elsewhere])
def test_layers_that_no_stage_wrote_are_one_sentence(
    arguments: dict[str, Any], tmp_path: Path, change: Callable[[h5py.File], None]
) -> None:
    path = hostile(arguments["layers"][0], tmp_path / "layers.h5", change)
    with pytest.raises(DamagedFileError, match=rf"{path} is not a readable HDF5 file"):
        made({**arguments, "layers": [path, *arguments["layers"][1:]]}, tmp_path / "made")
    assert not list((tmp_path / "made").glob("*"))


def test_an_image_without_a_thumbnail_is_told(arguments: dict[str, Any], tmp_path: Path) -> None:
    other = write_results(tmp_path / "fewer", labels=(0, 1))
    (tmp_path / "sheet").mkdir()
    _, thumbnails, _ = draw_sheet(tmp_path / "sheet", [other])
    with pytest.raises(DataError, match="has no thumbnail or no score; run again"):
        made({**arguments, "thumbnails": {**arguments["thumbnails"], "ring": thumbnails}}, tmp_path / "made")


def test_thumbnails_redraw_no_gallery_and_no_plot() -> None:
    assert ReportOptions(thumbnail=100, page_mb=1).drawing() == ReportOptions().drawing()
