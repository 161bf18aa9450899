"""One line names a published data set; a root of one's own is used as it is; the disk decides what is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from zsad.data.dataset import Dataset
from zsad.errors import ConfigError, DataError
from zsad.workflow.settings import DEFAULT_PATH

SECTION: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())["dataset"]


def dataset(**changes: Any) -> Dataset:
    return Dataset({**SECTION, **changes})


def test_the_default_is_the_demo_set_under_its_own_name() -> None:
    demo = dataset()
    assert (demo.name, demo.root.as_posix(), demo.is_demo, demo.is_downloaded) == (
        "demo",
        "results/data/demo",
        True,
        False,
    )
    assert demo.is_here
    assert demo.resolved()["demo"]["train"] == 20


def test_one_line_names_a_published_data_set_that_is_downloaded(tmp_path: Path) -> None:
    visa = dataset(layout="visa", download_to=str(tmp_path))
    assert visa.name == "visa"
    assert visa.is_downloaded
    assert visa.facts is not None
    assert visa.root == tmp_path / "visa" / visa.facts.root
    assert not visa.is_here
    visa.check()  # nothing can be said of it yet
    visa.list_files()


def test_the_textures_among_the_wanted_categories_are_known(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    assert dataset().textures == ["brick", "grass"]
    assert dataset(categories=["ring", "grass"]).textures == ["grass"]
    for category in ("screw", "tile", "wood"):
        write_png(tmp_path / category / "test/good/000.png")
    published = dataset(layout="mvtec_ad", root=str(tmp_path))
    assert (published.textures, published.published) == (["tile", "wood"], "mvtec_ad")
    own = dataset(layout="mvtec", root=str(tmp_path))
    assert (own.textures, own.published, own.saturation("screw")) == ([], "", None)


def test_one_data_set_has_a_table_of_saturation_areas(tmp_path: Path) -> None:
    table = dataset(layout="mvtec_loco", root=str(tmp_path)).saturation("pushpins")
    assert table == tmp_path / "pushpins/defects_config.json"


def test_a_root_takes_the_place_of_a_download(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    write_png(tmp_path / "part" / "test" / "good" / "0.png")
    mine = dataset(layout="mpdd", name="mine", root=str(tmp_path))
    assert not mine.is_downloaded
    assert (mine.name, mine.categories) == ("mine", ["part"])
    assert mine.files("part") == [tmp_path / "part" / "test" / "good" / "0.png"]
    assert mine.stage_config() == {
        "layout": "mpdd",
        "params": {"white": None},
        "root": tmp_path.as_posix(),
        "unreadable": "stop",
    }


def test_what_was_downloaded_is_found_again(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    before = dataset(layout="mpdd", download_to=str(tmp_path))
    for category in ("b", "a"):
        write_png(before.root / category / "test" / "good" / "0.png")
    after = dataset(layout="mpdd", download_to=str(tmp_path), categories=["b"])
    assert after.is_here
    assert after.categories == ["b"]


def test_the_same_images_under_another_name_are_downloaded_to_the_same_place() -> None:
    assert dataset(layout="visa", name="a").root == dataset(layout="visa", name="b").root


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"layout": "mvtec"}, ConfigError, r"dataset\.layout 'mvtec' needs dataset\.root, the folder of the images"),
        ({"layout": "folder"}, ConfigError, r"needs dataset\.root"),
        ({"layout": "vsia"}, ConfigError, r"there is no data set layout 'vsia'; did you mean 'visa'\?"),
        ({"layout": "visa", "params": {"splt": "1cls"}}, ConfigError, r"dataset\.params: unknown parameter 'splt'"),
        ({"root": "x"}, ConfigError, r"dataset\.root is set but dataset\.layout is 'demo'"),
        ({"name": "data"}, ConfigError, r"dataset\.name cannot be 'data'"),
        ({"categories": ["rng"]}, ConfigError, r"category 'rng' does not exist in .* did you mean 'ring'\?"),
        ({"layout": "mvtec", "root": "absent"}, DataError, r"the data set folder absent does not exist"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    changes: dict[str, Any], error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message) as raised:
        dataset(**changes).check()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["plots", "mean", "a{b}"])
def test_a_category_whose_name_is_taken_is_refused(name: str, tmp_path: Path, write_png: Callable[..., Path]) -> None:
    write_png(tmp_path / name / "test" / "good" / "0.png")
    with pytest.raises(ConfigError, match="rename its folder"):
        dataset(layout="mvtec", root=str(tmp_path)).check()


@pytest.mark.parametrize(
    ("name", "message"),
    [(b"caf\xe9.png", r"is not text in UTF-8; rename it"), (b"two\nlines.png", r"contains a line break; rename it")],
)
def test_a_name_that_cannot_be_written_down_is_refused_before_anything_runs(
    name: bytes, message: str, tmp_path: Path, write_png: Callable[..., Path]
) -> None:
    folder = write_png(tmp_path / "part" / "test" / "good" / "0.png").parent
    (folder / "0.png").rename(folder / name.decode(errors="surrogateescape"))
    with pytest.raises(DataError, match=message):
        dataset(layout="mvtec", root=str(tmp_path)).list_files()


def test_a_table_of_the_images_would_lie_where_their_paths_begin(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path\na.png\n", encoding="utf-8")
    for root in (tmp_path, tmp_path / "table.csv"):
        assert dataset(layout="csv", root=str(root)).folder_of_tables == tmp_path.as_posix()
    assert dataset().folder_of_tables == "results/data/demo"
