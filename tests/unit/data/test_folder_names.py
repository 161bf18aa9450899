"""Folders as people name them: a slip that would lose or swap images, labels or masks stops; all others are told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsad.data.guessing import guess_layout
from zsad.data.inspection import inspect_category
from zsad.data.layouts.base import Layout
from zsad.data.layouts.btad import BtadLayout
from zsad.data.layouts.csv_table import CsvLayout
from zsad.data.layouts.folder import FolderLayout
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.layouts.mvtec_ad_2 import MvtecAd2Layout
from zsad.data.layouts.own_mvtec import OwnMvtecLayout
from zsad.data.layouts.words import DEFECT_WORDS, GOOD_WORDS, means, slips, spelled_alike
from zsad.errors import DataError

WritePng = Callable[..., Path]
Tree = Mapping[str, Sequence[str]]
MASK = np.pad(np.full((3, 3), 255, dtype=np.uint8), ((2, 7), (2, 11)))
TREE: Tree = {
    "train/good": ("0", "1"),
    "test/good": ("0",),
    "test/crack": ("0",),
    "ground_truth/crack": ("0_mask",),
}
MASK_NAME = re.compile(r"mask|truth|gt", re.I)


@pytest.fixture
def draw(tmp_path: Path, write_png: WritePng) -> Callable[[Tree], Path]:
    """Draw a category: masks where the path says so, photographs else."""

    def drawn(tree: Tree) -> Path:
        folder, seed = tmp_path / "set/tile", 0
        for place, names in tree.items():
            for name in names:
                seed += 1
                path = folder / place / f"{name}.png"
                if MASK_NAME.search(f"{place}/{name}"):
                    write_png(path, MASK)
                else:
                    write_png(path, size=(12, 16), seed=seed)
        return tmp_path / "set"

    return drawn


def renamed(old: str, new: str, tree: Tree = TREE) -> Tree:
    """The tree with a folder called otherwise, wherever it begins like this."""
    return {
        place.replace(old, new, 1) if f"{place}/".startswith(f"{old}/") else place: names
        for place, names in tree.items()
    }


def said(layout: Layout, root: Path) -> tuple[list[str], list[str]]:
    """Problems and warnings of the check."""
    found = inspect_category(layout, root, "tile")
    return list(found.problems), list(found.warnings)


def test_a_tree_as_it_should_be_has_nothing_said_against_it(draw: Callable[[Tree], Path]) -> None:
    root = draw(TREE)
    assert said(OwnMvtecLayout(), root) == said(MvtecLayout(), root) == ([], [])
    assert OwnMvtecLayout().overlooked(root) == []


GOODS = (
    "Good",
    "GOOD",
    "OK",
    "ok",
    "Okay",
    "normal",
    "gut",
    "pass",
    "non-defective",
    "defect_free",
    "i.O.",
    "no defect",
)
GOODS += (
    "good_parts",
    "OK images",
    "01_good",
    "良品",
    "godo",
    "goood",
    "Undamaged",
    "Nominal",
    "without_defects",
    "neg",
)


@pytest.mark.parametrize("name", GOODS)
def test_good_test_images_under_another_name_are_no_defects(draw: Callable[[Tree], Path], name: str) -> None:
    root = draw(renamed("test/good", f"test/{name}"))
    (problem,), _ = said(OwnMvtecLayout(), root)
    assert f"test/{name} would be read as defects of type '{name}'" in problem
    assert f"rename it to 'good', or set dataset.params.good to [good, {name}]" in problem
    assert said(OwnMvtecLayout(good=["good", name]), root) == ([], [])
    (problem,), _ = said(MvtecLayout(), root)
    assert problem.endswith("rename it to 'good'")


@pytest.mark.parametrize("name", [*GOODS, "images", "reference"])
def test_good_training_images_under_another_name_do_not_vanish(draw: Callable[[Tree], Path], name: str) -> None:
    root = draw(renamed("train/good", f"train/{name}"))
    (problem,), _ = said(OwnMvtecLayout(), root)
    assert f"the training images in {root}/tile/train/{name} would not be read" in problem
    assert f"set dataset.params.good to [good, {name}]" in problem
    assert said(OwnMvtecLayout(good=["good", name]), root) == ([], [])


@pytest.mark.parametrize("name", ["wood", "gold", "ko", "bad", "glue", "not ok", "color", "combined", "ng"])
def test_what_is_a_defect_by_its_name_is_none_of_the_good_ones(name: str) -> None:
    assert not means(name, GOOD_WORDS)
    assert not spelled_alike(name, "good")


STOPS: dict[str, tuple[Tree, str, dict[str, Any]]] = {
    "Train": (
        renamed("train", "Train"),
        r"tile/Train would not be read, since 'train' is expected",
        {"train": "Train"},
    ),
    "training": (renamed("train", "training"), r"rename it to 'train', or set", {"train": "training"}),
    "trian": (renamed("train", "trian"), r"rename it to 'train', or set", {"train": "trian"}),
    "Ground_Truth": (
        renamed("ground_truth", "Ground_Truth"),
        r"the masks in .*/Ground_Truth would not be read.*params\.ground_truth to 'Ground_Truth'",
        {"ground_truth": "Ground_Truth"},
    ),
    "masks": (renamed("ground_truth", "masks"), r"the masks in .*/masks would not be read", {"ground_truth": "masks"}),
    "gt": (renamed("ground_truth", "gt"), r"the masks in .*/gt would not be read", {"ground_truth": "gt"}),
    "good and Good": (
        {**TREE, "test/Good": ("5",)},
        r"test/Good would be read as defects",
        {"good": ["good", "Good"]},
    ),
    "train and Train": ({**TREE, "Train/good": ("5",)}, r"both 'train' and 'Train'", {}),
    "test and Test": ({**TREE, "Test/good": ("5",)}, r"both 'test' and 'Test'", {}),
    "truth twice": ({**TREE, "Ground_Truth/crack": ("0_mask",)}, r"both 'ground_truth' and 'Ground_Truth'", {}),
    "images in train": (renamed("train/good", "train"), r"the 2 images in .*/train itself would not be read", {}),
    "a folder too deep": (renamed("test/crack", "test/crack/images"), r"one folder too deep; move them to", {}),
    "masks beside": ({**TREE, "test/crack": ("0", "0_mask")}, r"test/crack/0_mask\.png seem to be masks", {}),
    "masks in test": ({**TREE, "test/masks": ("0",)}, r"test/masks/0\.png seem to be masks", {}),
    "truth in test": ({**TREE, "test/Ground_Truth": ("0",)}, r"test/Ground_Truth/0\.png seem to be masks", {}),
    "a folder of _mask": (
        {**TREE, "test/crack 2": ("7_mask", "8_mask")},
        r"7_mask\.png and 1 more seem to be masks",
        {},
    ),
    "truth in another case": (
        renamed("ground_truth/crack", "ground_truth/Crack"),
        r"give both folders the same name",
        {},
    ),
    "masks of other names": (
        {**TREE, "ground_truth/crack": ("x0_mask",)},
        r"no mask in .* must be called 0_mask\.png",
        {},
    ),
}


@pytest.mark.parametrize(("tree", "sentence", "params"), STOPS.values(), ids=STOPS)
def test_what_would_be_missed_or_mistaken_stops(
    draw: Callable[[Tree], Path], tree: Tree, sentence: str, params: dict[str, Any]
) -> None:
    root = draw(tree)
    problems, _ = said(OwnMvtecLayout(), root)
    assert [problem for problem in problems if re.search(sentence, problem)], problems
    assert not any("\n" in problem for problem in problems)
    if params:
        assert said(OwnMvtecLayout(**params), root) == ([], [])


WARNINGS: dict[str, tuple[Tree, str]] = {
    "a good name beside good": (
        {**TREE, "test/OK": ("5",)},
        r"test/OK is read as defects, although its name means good",
    ),
    "training OK beside good": ({**TREE, "train/OK": ("5",)}, r"train/OK are left out, although its name means good"),
    "masks without a defect": (
        {**TREE, "ground_truth/dents": ("0_mask",)},
        r"dents are not read, since .* no such folder",
    ),
    "masks in no folder": ({**TREE, "ground_truth": ("0_mask",)}, r"the 1 masks in .* itself are not read"),
    "no good one": ({k: v for k, v in TREE.items() if k != "test/good"}, "no test image is good"),
    "no defective one": ({k: v for k, v in TREE.items() if "crack" not in k}, "no test image is defective"),
    "two of a kind": ({**TREE, "test/Crack": ("5",)}, r"types Crack, crack differ only in case"),
    "validation": ({**TREE, "validation/good": ("5",)}, r"the validation images of tile \(1\) are left out"),
    "val": ({**TREE, "val": ("5",)}, r"the validation images of tile \(1\) are left out"),
    "testing beside test": ({**TREE, "testing/good": ("5",)}, r"testing are left out, since 'test' exists beside it"),
}


@pytest.mark.parametrize(("tree", "sentence"), WARNINGS.values(), ids=WARNINGS)
def test_what_changes_no_result_is_told(draw: Callable[[Tree], Path], tree: Tree, sentence: str) -> None:
    problems, warnings = said(OwnMvtecLayout(), draw(tree))
    assert not problems
    assert [warning for warning in warnings if re.search(sentence, warning)], warnings


def test_an_empty_folder_of_defects_is_told(draw: Callable[[Tree], Path]) -> None:
    root = draw(TREE)
    (root / "tile/test/dent").mkdir()
    assert said(OwnMvtecLayout(), root) == ([], [f"{root}/tile/test/dent has no image"])


@pytest.mark.parametrize("name", ["Test", "TEST", "tests", "Testing", "tset"])
def test_a_folder_is_not_passed_over_for_the_name_of_its_test_images(draw: Callable[[Tree], Path], name: str) -> None:
    root = draw(renamed("test", name))
    with pytest.raises(
        DataError, match=f"'{name}' where 'test' is expected: rename .* dataset.params.test to '{name}'"
    ):
        OwnMvtecLayout().categories(root)
    with pytest.raises(DataError, match=f"a single category that has '{name}' where 'test' is expected"):
        OwnMvtecLayout().categories(root / "tile")
    assert OwnMvtecLayout(test=name).categories(root) == ["tile"]
    assert said(OwnMvtecLayout(test=name), root) == ([], [])
    if name != "tset":
        assert guess_layout(root) == ("mvtec", root, [])
        assert guess_layout(root / "tile") == ("mvtec", root, ["tile"])


def test_what_is_no_category_beside_others_is_not_passed_over(
    draw: Callable[[Tree], Path], write_png: WritePng
) -> None:
    root = draw(TREE)
    write_png(root / "lid/Test/good/0.png")
    write_png(root / "nut/train/good/0.png")
    write_png(root / "docs/drawing.png")
    one, two = OwnMvtecLayout().overlooked(root)
    assert "lid has 'Test' where 'test' is expected" in one
    assert "nut has training images but no 'test'" in two


def test_published_arrangements_are_taken_as_they_are(tmp_path: Path, write_png: WritePng) -> None:
    seed = 0
    for place in ("01/train/ok/0", "01/test/ok/0", "01/test/ko/1"):
        write_png(tmp_path / f"btad/{place}.png", size=(12, 16), seed=(seed := seed + 1))
    write_png(tmp_path / "btad/01/ground_truth/ko/1.png", MASK)
    for place in ("train/good/0", "test_public/good/1", "test_public/bad/2", "test_private/3", "test_private_mixed/4"):
        write_png(tmp_path / f"ad2/can/{place}.png", size=(12, 16), seed=(seed := seed + 1))
    write_png(tmp_path / "ad2/can/test_public/ground_truth/bad/2_mask.png", MASK)
    assert BtadLayout().findings(tmp_path / "btad", "01") == []
    for test in ("public", "private", "private_mixed"):
        layout = MvtecAd2Layout(test=test)
        assert layout.findings(tmp_path / "ad2", "can") == layout.overlooked(tmp_path / "ad2") == []
    (tmp_path / "ad2/can/test_public/ground_truth").rename(tmp_path / "ad2/can/test_public/Ground_Truth")
    (finding,) = MvtecAd2Layout().findings(tmp_path / "ad2", "can")
    assert finding.stops
    assert finding.text.endswith("rename it to 'ground_truth'")


def test_a_name_is_meant_for_the_nearest(tmp_path: Path) -> None:
    assert slips("test", ["tests", "Test", "rest", "text", "train"]) == ["Test", "tests"]
    assert means("N.i.O.", DEFECT_WORDS)
    assert not means("12", GOOD_WORDS)
    assert not spelled_alike("ok", "ko")


# A folder of photographs that is more than that.

FOLDERS: dict[str, tuple[Tree, bool, str, dict[str, Any]]] = {
    "masks": (
        {".": ("a", "b"), "masks": ("a", "b")},
        True,
        r"/masks contains masks.*leave_out to \['masks'\]",
        {"leave_out": ["masks"]},
    ),
    "masks deeper": (
        {"day 1": ("a",), "day 1/GT/x": ("a",)},
        True,
        r"/day 1/GT contains masks.*\['day 1/GT'\]",
        {"leave_out": ["day 1/GT"]},
    ),
    "masks beside": (
        {".": ("a", "a_mask", "b")},
        True,
        r"a_mask\.png seem.*\['\*_mask\.png'\]",
        {"leave_out": ["*_mask.png"]},
    ),
    "a tree": (
        TREE,
        True,
        r"ground_truth contains masks.*or use dataset\.layout 'mvtec' with dataset\.root '.*set'",
        {},
    ),
    "a tree without masks": (
        {"train/good": ("0",), "test/good": ("0",)},
        False,
        r"like MVTec AD, .*dataset\.layout 'mvtec'",
        {},
    ),
    "good and bad": (
        {"OK": ("0",), "NOK": ("0",)},
        False,
        r"OK, NOK seem to be labels.*references to '.*/OK'",
        {},
    ),
}


@pytest.mark.parametrize(("tree", "stops", "sentence", "params"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_is_more_than_photographs_is_told(
    draw: Callable[[Tree], Path], tree: Tree, stops: bool, sentence: str, params: dict[str, Any]
) -> None:
    root = draw(tree) / "tile"
    problems, warnings = said(FolderLayout(), root)
    assert bool(problems) == stops
    assert re.search(sentence, (problems if stops else warnings)[0]), (problems, warnings)
    if params:
        assert said(FolderLayout(**params), root)[0] == []
        assert all("mask" not in item.image_id for item in FolderLayout(**params).items(root, "tile"))


def test_photographs_of_labels_are_photographs(tmp_path: Path, write_png: WritePng) -> None:
    for seed, name in enumerate(("labels/0.png", "labels/1_label.png", "a.png")):
        write_png(tmp_path / "tile" / name, size=(12, 16), seed=seed)
    assert FolderLayout().findings(tmp_path / "tile", "tile") == []


# A table.


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("Test,GUT,", ("test", 0, "good")),
        ("TRAIN,pass,", ("train", 0, "good")),
        ("training,i.O.,", ("train", 0, "good")),
        ("testing,NOK,", ("test", 1, "defective")),
        ("test,n.i.O.,dent", ("test", 1, "dent")),
        ("test,,OK", ("test", 0, "good")),
        ("test,good,none", ("test", 0, "good")),
        ("test,good,Good", ("test", 0, "good")),
    ],
)
def test_other_words_in_a_table_are_understood(
    tmp_path: Path, write_png: WritePng, cells: str, expected: tuple[str, int, str]
) -> None:
    write_png(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text(f"path,split,label,defect_type\na.png,{cells}\n", encoding="utf-8")
    (item,) = CsvLayout().items(tmp_path, CsvLayout().categories(tmp_path)[0])
    assert (item.split, item.label, item.defect_type) == expected


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ("val,good,", "the split is 'val', but no method here uses validation images; set it to 'test'"),
        ("tset,good,", r"the split is 'tset'; did you mean 'test'\?"),
        ("test,goood,", r"the label is 'goood'; did you mean 'good'\?"),
        ("test,perhaps,", "the label is 'perhaps'; it must be one of unknown, good"),
        ("test,good,scratch", "the label is 'good' but the defect type 'scratch'"),
        ("test,NG,ok", "the label is 'NG' but the defect type 'ok'"),
    ],
)
def test_slips_in_a_table_are_named(tmp_path: Path, write_png: WritePng, cells: str, sentence: str) -> None:
    write_png(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text(f"path,split,label,defect_type\na.png,{cells}\n")
    with pytest.raises(DataError, match=sentence):
        CsvLayout().categories(tmp_path)


def test_categories_that_differ_in_case_are_told(tmp_path: Path, write_png: WritePng) -> None:
    for name in "ab":
        write_png(tmp_path / f"{name}.png")
    (tmp_path / "manifest.csv").write_text("path,category\na.png,lid\nb.png,Lid\n")
    (finding,) = CsvLayout().findings(tmp_path, "lid")
    assert not finding.stops
    assert "'lid' and 'Lid'" in finding.text
