"""A page that would be heavy is an index with a page a category beside it, whose files are the same every time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from test_reporting_page import Page, build

from zsad.errors import DataError
from zsad.reporting import page as page_module
from zsad.reporting.build_page import build_page
from zsad.reporting.page import HEAVIEST

ONE = {"self_similarity": "zero-shot-single"}
LIGHT = 0.001  # MB, less than any page weighs
BOARDS = ("board", "ring")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return build(tmp_path_factory.mktemp("heavy"), BOARDS, ONE)


def made(arguments: Mapping[str, Any], where: Path, heaviest: float) -> dict[str, bytes]:
    """The files that are written, by their paths below ``where``."""
    build_page(**{**arguments, "output": where / "report.html"}, folder=where / "report", heaviest=heaviest)
    return {str(path.relative_to(where)): path.read_bytes() for path in sorted(where.rglob("*")) if path.is_file()}


def links(page: bytes) -> list[str]:
    """Where the links lead that leave the page."""
    targets = [tag["href"] for tag in Page(page.decode("utf-8")).attributes("a")]
    return [unquote(target.partition("#")[0]) for target in targets if not target.startswith(("#", "http"))]


def test_a_light_page_is_one_file_beside_an_empty_folder(arguments: dict[str, Any], tmp_path: Path) -> None:
    assert list(made(arguments, tmp_path, HEAVIEST)) == ["report.html"]
    assert (tmp_path / "report").is_dir()


def test_a_page_may_weigh_as_much_as_is_said_and_no_byte_more(arguments: dict[str, Any], tmp_path: Path) -> None:
    weight = len(made(arguments, tmp_path, HEAVIEST)["report.html"])
    assert len(made(arguments, tmp_path, weight / 1e6)) == 1
    assert len(made(arguments, tmp_path, (weight - 1) / 1e6)) == 1 + len(BOARDS)


def test_the_index_leads_to_every_page_and_each_leads_back(arguments: dict[str, Any], tmp_path: Path) -> None:
    files = made(arguments, tmp_path, LIGHT)
    pages = [f"report/{name}.html" for name in BOARDS]
    assert sorted(files) == ["report.html", *pages]
    assert set(links(files["report.html"])) == set(pages)
    for name, path in zip(BOARDS, pages, strict=True):
        page = Page(files[path].decode("utf-8"))
        assert page.misnested == page.open == []
        assert f"parts: {name}" in page.text
        assert set(links(files[path])) == {"../report.html", *(f"{other}.html" for other in BOARDS if other != name)}


def test_the_same_pages_are_made_every_time(arguments: dict[str, Any], tmp_path: Path) -> None:
    assert made(arguments, tmp_path, LIGHT) == made(arguments, tmp_path, LIGHT)


def test_pages_of_an_earlier_run_are_gone(arguments: dict[str, Any], tmp_path: Path) -> None:
    made(arguments, tmp_path, LIGHT)
    assert list(made(arguments, tmp_path, HEAVIEST)) == ["report.html"]


def test_no_page_is_left_where_one_cannot_be_written(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = page_module.write_text

    def full(path: Path, text: str) -> None:
        if path.name == "ring.html":
            raise DataError("the disk is full")
        write(path, text)

    monkeypatch.setattr(page_module, "write_text", full)
    with pytest.raises(DataError, match="the disk is full"):
        made(arguments, tmp_path, LIGHT)
    assert list(tmp_path.rglob("*.html")) == []


@pytest.mark.parametrize(
    ("categories", "names"),
    [
        (["50% #1 größe", "a b"], ["50% #1 größe", "a b"]),
        (["Ring", "ring", "lid"], ["category-1", "category-2", "lid"]),
        (["gr\u00f6\u00dfe", "gro\u0308sse"], ["category-1", "category-2"]),
        (["category-2", "a:b?"], ["category-1", "category-2"]),
        (["x" * 250, "category-1"], ["category-1", "category-2"]),
        (["é" * 125], ["category-1"]),
    ],
)
def test_each_category_has_a_file_of_its_own_wherever_the_folder_is_sent(
    categories: list[str], names: list[str], tmp_path: Path
) -> None:
    files = made(build(tmp_path / "made", categories, ONE, labels=(0, 1)), tmp_path / "out", LIGHT)
    assert sorted(files) == sorted(["report.html", *(f"report/{name}.html" for name in names)])
    for category, name in zip(categories, names, strict=True):
        assert f"parts: {category}" in Page(files[f"report/{name}.html"].decode("utf-8")).text
    assert set(links(files["report.html"])) == {f"report/{name}.html" for name in names}


def test_a_page_holds_each_photograph_once_and_shows_it_where_it_is_referred_to(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    several = build(tmp_path / "made", ["board"], {**ONE, "mutual": "zero-shot-batch"})
    page = made(several, tmp_path / "out", HEAVIEST)["report.html"].decode("utf-8")
    held = re.findall(r'<image id="([^"]+)"[^>]* href="(data:[^"]+)"', page)
    shown = re.findall(r'<use href="#([^"]+)"', page)
    assert len({address for _, address in held}) == len(held) == 4
    assert set(shown) == {identifier for identifier, _ in held}
    assert len(shown) >= 2 * 2 * len(held)  # by both methods, with the prediction and with the ground truth
