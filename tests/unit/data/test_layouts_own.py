"""Anybody's own images: a folder without labels, and a table of paths, labels and masks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsad.data.dataset import Dataset
from zsad.data.layouts.base import TAKEN, Layout
from zsad.data.layouts.csv_table import CsvLayout
from zsad.data.layouts.folder import FolderLayout, category_named
from zsad.data.layouts.item import Item
from zsad.data.layouts.registry import LAYOUTS
from zsad.errors import DataError

WritePng = Callable[..., Path]
Table = Callable[..., Path]


def identifiers(layout: Layout, root: Path) -> list[str]:
    """The images of the one category."""
    (category,) = layout.categories(root)
    return [item.image_id for item in layout.items(root, category)]


def test_the_layouts_are_registered() -> None:
    assert LAYOUTS.load("folder") is FolderLayout
    assert LAYOUTS.load("csv") is CsvLayout


# A folder.


@pytest.fixture
def parts(tmp_path: Path, write_png: WritePng) -> Path:
    """A folder as people have it."""
    folder = tmp_path / "My parts"
    names = ["Ärmel 1.PNG", "b.png", "line 2/a.png", "line 2/deep/er/c.png", ".trash/d.png", ".hidden.png"]
    for seed, name in enumerate(names):
        write_png(folder / name, seed=seed)
    (folder / "Thumbs.db").write_bytes(b"no image")
    (folder / "line 2" / "notes.txt").write_text("no image")
    return folder


def test_a_folder_is_one_category_of_unlabelled_test_images_with_all_its_sub_folders(parts: Path) -> None:
    layout = FolderLayout()
    assert layout.categories(parts) == ["My parts"]
    records = layout.records(parts, "My parts")
    assert [record.image_id for record in records] == [
        "b.png",
        "line 2/a.png",
        "line 2/deep/er/c.png",
        "Ärmel 1.PNG",
    ]
    assert {(record.split, record.label, record.defect_type, record.mask_path) for record in records} == {
        ("test", None, "", "")
    }
    assert layout.files(parts, "My parts") == sorted(parts / record.image_id for record in records)


def test_good_images_in_a_folder_of_their_own_are_references(parts: Path, tmp_path: Path, write_png: WritePng) -> None:
    write_png(tmp_path / "good" / "x" / "a.png", seed=9)
    items = FolderLayout(references=str(tmp_path / "good")).items(parts, "My parts")
    found = {item.image_id: (item.split, item.label, item.defect_type) for item in items}
    assert found.pop("references/x/a.png") == ("train", 0, "good")
    assert set(found.values()) == {("test", None, "")}
    assert len(found) == 4


def test_references_are_relative_to_the_working_directory(
    parts: Path, tmp_path: Path, write_png: WritePng, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_png(tmp_path / "good" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert "references/a.png" in identifiers(FolderLayout(references="good"), Path("My parts"))


def test_references_inside_the_folder_are_not_inspected(parts: Path) -> None:
    found = identifiers(FolderLayout(references=str(parts / "line 2")), parts)
    assert found == ["b.png", "references/a.png", "references/deep/er/c.png", "Ärmel 1.PNG"]


def test_a_sub_folder_called_references_takes_no_image_its_name(
    parts: Path, tmp_path: Path, write_png: WritePng
) -> None:
    write_png(parts / "references" / "a.png")
    write_png(tmp_path / "good" / "a.png")
    found = identifiers(FolderLayout(references=str(tmp_path / "good")), parts)
    assert [name for name in found if name.startswith("references")] == ["references/a.png", "references_/a.png"]


def test_links_are_followed_but_never_in_circles_and_no_image_is_there_twice(
    parts: Path, tmp_path: Path, write_png: WritePng
) -> None:
    write_png(tmp_path / "elsewhere" / "e.png")
    (parts / "outside").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(parts, target_is_directory=True)
    (parts / "again").symlink_to(parts / "line 2", target_is_directory=True)
    (parts / "self").symlink_to(parts, target_is_directory=True)
    (parts / "up").symlink_to(tmp_path, target_is_directory=True)
    (parts / "nowhere").symlink_to(parts / "nowhere")
    (parts / "linked.png").symlink_to(tmp_path / "elsewhere" / "e.png")
    assert identifiers(FolderLayout(), parts) == [
        *("b.png", "line 2/a.png", "line 2/deep/er/c.png", "linked.png", "outside/e.png", "Ärmel 1.PNG"),
    ]


def test_a_link_that_leads_nowhere_is_named_when_it_is_opened(parts: Path, tmp_path: Path) -> None:
    (parts / "gone.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"gone\.png"):
        FolderLayout().records(parts, "My parts")


def test_the_working_directory_can_be_the_folder(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(parts)
    assert FolderLayout().categories(Path()) == ["My parts"]
    monkeypatch.chdir(parts / "line 2")
    assert FolderLayout().categories(Path("..")) == ["My parts"]


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("parts", "parts"),
        ("Teile vom 3. März", "Teile vom 3. März"),
        ("{id}", "_id_"),
        ("a\nb", "a_b"),
        (os.fsdecode(b"f\xfcr"), "f_r"),
        (".hidden", "hidden"),
        ("{}", "images"),
        ("", "images"),
        *((name, "images") for name in TAKEN),
    ],
)
def test_a_category_is_named_as_near_to_its_folder_as_the_workflow_can_bear(name: str, category: str) -> None:
    assert category_named(name) == category


@pytest.mark.parametrize("name", ["{}", "logs", "a{b}"])
def test_whatever_the_folder_is_called_the_workflow_takes_its_category(
    tmp_path: Path, write_png: WritePng, name: str
) -> None:
    write_png(tmp_path / name / "a.png")
    config = {
        **{"layout": "folder", "name": None, "params": {}, "root": str(tmp_path / name), "download_to": "data"},
        **{"categories": "all", "unreadable": None, "max_aspect": 50, "max_patches": 65536, "demo": {}},
    }
    data = Dataset(config)
    assert len(data.files(data.categories[0])) == 1


@pytest.mark.parametrize(
    ("root", "references", "sentence"),
    [
        ("nothing", None, r"the folder .*nothing does not exist; set dataset\.root to the folder of the images"),
        ("parts/a.png", None, r"a\.png is a file; set dataset\.root to the folder of the images$"),
        ("list.csv", None, r"list\.csv is a file; .*, or dataset\.layout to 'csv' if it is a table of images"),
        ("empty", None, r"empty and its sub-folders contain no image to inspect \(\.png, .*\); set dataset\.root"),
        ("parts", "nothing", r"the folder .*nothing does not exist; set dataset\.params\.references"),
        ("parts", "parts/a.png", r"a\.png is a file; set dataset\.params\.references"),
        ("parts", "empty", r"the folder of references .*empty has no image .*; put normal images there"),
        ("parts", "parts", r"the folder of references .*parts also contains the images to inspect in .*parts"),
        ("parts/more", "parts", r"the folder of references .*parts also contains the images to inspect in .*more"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_in_one_sentence(
    tmp_path: Path, write_png: WritePng, root: str, references: str | None, sentence: str
) -> None:
    write_png(tmp_path / "parts" / "a.png")
    write_png(tmp_path / "parts" / "more" / "a.png")
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    (tmp_path / "list.csv").write_text("path\n")
    layout = FolderLayout(references=references and str(tmp_path / references))
    with pytest.raises(DataError, match=sentence) as error:
        identifiers(layout, tmp_path / root)
    assert "\n" not in str(error.value)


def test_a_folder_that_may_not_be_read_is_named(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Path.iterdir

    def guarded(path: Path) -> Any:
        if path.name == "line 2":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    with pytest.raises(DataError, match=r"line 2 cannot be read \(Permission denied\); make it readable"):
        FolderLayout().items(parts, "My parts")


# A table.


@pytest.fixture
def table(tmp_path: Path, write_png: WritePng) -> Table:
    """Write a table with the images a.png to f.png, and masks that mark something (m.png) or nothing (zero.png)."""
    folder = tmp_path / "lids"
    for seed, name in enumerate("abcdef"):
        write_png(folder / "photos" / f"{name}.png", seed=seed)
    write_png(folder / "m.png", np.eye(12, 16, dtype=np.uint8))
    write_png(folder / "zero.png", np.zeros((12, 16), dtype=np.uint8))

    def write(*lines: str, name: str = "manifest.csv", encoding: str = "utf-8", end: str = "\n") -> Path:
        (folder / name).write_bytes(end.join([*lines, ""]).encode(encoding))
        return folder

    return write


def only(root: Path, layout: Layout | None = None) -> Item:
    """The one image of the one category."""
    layout = layout or CsvLayout()
    (category,) = layout.categories(root)
    (item,) = layout.items(root, category)
    return item


def test_a_table_gives_each_image_its_place_and_truth(table: Table) -> None:
    root = table(
        "path,category,split,label,defect_type,mask_path",
        "photos/a.png,lid,train,good,,",
        "photos/b.png,lid,test,good,good,zero.png",
        "photos/c.png,lid,,defective,scratch,m.png",
        '"photos/d.png",lid,test,1,,',
        "photos/e.png,lid,test,,,",
        "photos/f.png,ring,test,0,,",
    )
    layout = CsvLayout()
    assert layout.categories(root) == ["lid", "ring"]
    records = layout.records(root, "lid")
    assert [
        (record.image_id, record.split, record.label, record.defect_type, Path(record.mask_path).name)
        for record in records
    ] == [
        ("photos/a.png", "train", 0, "good", ""),
        ("photos/b.png", "test", 0, "good", ""),
        ("photos/c.png", "test", 1, "scratch", "m.png"),
        ("photos/d.png", "test", 1, "defective", ""),
        ("photos/e.png", "test", None, "", ""),
    ]
    names = ["m.png", "manifest.csv", *(f"photos/{name}.png" for name in "abcde"), "zero.png"]
    assert layout.files(root, "lid") == [root / name for name in names]


@pytest.mark.parametrize(
    ("split", "label", "defect_type", "mask", "expected"),
    [
        ("", "", "", "", ("test", None, "")),
        ("test", "unknown", "", "", ("test", None, "")),
        ("Train", "", "", "", ("train", 0, "good")),
        ("train", "OK", "", "", ("train", 0, "good")),
        ("", "Normal", "", "", ("test", 0, "good")),
        ("", "0.0", "Good", "", ("test", 0, "good")),
        ("", "1.0", "", "", ("test", 1, "defective")),
        ("", "anomaly", "dent", "", ("test", 1, "dent")),
        ("", "", "dent", "", ("test", 1, "dent")),
        ("", "", "good", "", ("test", 0, "good")),
        ("", "", "", "m.png", ("test", "mask", "defective")),
        ("", "", "dent", "m.png", ("test", "mask", "dent")),
        ("train", "", "", "m.png", ("train", "mask", "defective")),
    ],
)
def test_the_label_is_what_the_table_says_or_else_what_the_rest_of_the_line_tells(
    table: Table, split: str, label: str, defect_type: str, mask: str, expected: tuple[Any, ...]
) -> None:
    root = table("path,split,label,defect_type,mask_path", f"photos/a.png,{split},{label},{defect_type},{mask}")
    item = only(root)
    assert (item.split, item.label, item.defect_type) == expected
    assert (item.mask is None) == (not mask)


def test_without_a_label_the_mask_decides(table: Table) -> None:
    root = table("path,mask_path", "photos/a.png,m.png", "photos/b.png,zero.png")
    found = [(record.label, record.defect_type) for record in CsvLayout().records(root, "lids")]
    assert found == [(1, "defective"), (0, "good")]


def test_a_good_image_whose_mask_marks_a_defect_is_a_contradiction(table: Table) -> None:
    root = table("path,label,mask_path", "photos/a.png,good,m.png")
    with pytest.raises(DataError, match=r"labels photos/a\.png as good, but its mask .*m\.png marks a defect; correct"):
        CsvLayout().records(root, "lids")


def test_defective_training_images_are_left_out_and_counted(table: Table) -> None:
    root = table("path,split,label", "photos/a.png,train,1", "photos/b.png,train,0", "photos/c.png,test,1")
    assert [record.image_id for record in CsvLayout().records(root, "lids")] == ["photos/b.png", "photos/c.png"]
    assert CsvLayout().remarks(root, "lids") == [
        (
            "the defective training images of lids (1) are left out, since all methods here are trained "
            "only on normal images"
        )
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables_of_any_spreadsheet_are_understood(table: Table, delimiter: str, encoding: str, end: str) -> None:
    lines = ("Path,Defect_Type,,", '"photos/a.png",kratzer längs,,', ",,,")
    root = table(*(line.replace(",", delimiter) for line in lines), encoding=encoding, end=end)
    item = only(root)
    assert (item.image_id, item.defect_type) == ("photos/a.png", "kratzer längs")


def test_the_root_is_the_table_or_its_folder(table: Table) -> None:
    folder = table("path", "photos/a.png", name="teile.csv")
    assert CsvLayout().categories(folder / "teile.csv") == ["teile"]
    assert CsvLayout(table="teile.csv").categories(folder) == ["lids"]
    assert only(folder / "teile.csv") == only(folder, CsvLayout(table="teile.csv"))
    assert CsvLayout().tables(folder / "teile.csv", "teile") == [folder / "teile.csv"]


def test_a_file_may_have_a_dollar_in_its_name_and_a_category_begin_with_a_formula(
    table: Table, write_png: WritePng
) -> None:
    root = table("path,category", "cost $5.png,'=1+1", "./~home.png,'x", "$HOME/a.png,''-")
    for name in ("cost $5.png", "~home.png", "$HOME/a.png"):
        write_png(root / name)
    layout = CsvLayout()
    assert layout.categories(root) == ["'-", "'x", "=1+1"]
    assert [layout.items(root, category)[0].path for category in layout.categories(root)] == [
        root / "$HOME/a.png",
        root / "~home.png",
        root / "cost $5.png",
    ]
    (root / "$HOME/a.png").unlink()
    with pytest.raises(DataError, match=r"variables such as \$HOME are not replaced"):
        layout.items(root, "'-")


def test_paths_may_lead_anywhere(table: Table, tmp_path: Path, write_png: WritePng) -> None:
    outside, beside = write_png(tmp_path / "o.png"), write_png(tmp_path / "lids" / 'with, comma "x".png')
    root = table("path", f"{outside}", "../o.png", "./photos/../photos/a.png", '"with, comma ""x"".png"')
    items = CsvLayout().items(root, "lids")
    assert {item.image_id: item.path.resolve() for item in items} == {
        "../o.png": outside,
        str(outside): outside,
        "photos/a.png": root / "photos" / "a.png",
        'with, comma "x".png': beside,
    }


HEADER = "path,category,split,label,defect_type,mask_path"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["paths"], r"an unknown column 'paths'; did you mean 'path'\?"),
        (["image_path"], r"an unknown column 'image_path'; did you mean 'path'\?"),
        (["Filename"], r"an unknown column 'filename'; did you mean 'path'\?"),
        (["file path"], r"an unknown column 'file path'; did you mean 'path'\?"),
        *(([name], r"did you mean 'path'\?") for name in ("file", "image", "img", "filepath")),
        (["path,mask"], r"did you mean 'mask_path'\?"),
        (["path,class"], r"did you mean 'category'\?"),
        (["path,type"], r"did you mean 'defect_type'\?"),
        (["path,set"], r"did you mean 'split'\?"),
        (["path,lable"], r"an unknown column 'lable'; did you mean 'label'\?"),
        (["path,label,label"], r"two columns 'label'; remove one of them"),
        (["label", "good"], r"no column 'path'; its first line must name it"),
        ([], r"no column 'path'"),
        (["path"], r"lists no image; add one line per image"),
        (["path", "", ""], r"lists no image"),
        ([HEADER, "photos/a.png,,some,,,"], r"line 2: the split is 'some'; it must be one of test, train, or empty"),
        (
            [HEADER, ",,,,,", "photos/a.png,,,so-so,,"],
            r"line 3: the label is 'so-so'; it must be one of unknown, good, 0",
        ),
        ([HEADER, "photos/a.png,,,,,", "./photos/a.png,,,,,"], r"line 3: \./photos/a\.png is already in line 2"),
        ([HEADER, "photos/a.png,lid,,,,", "photos/a.png,ring,,,,"], r"line 3: photos/a\.png is already in line 2"),
        ([HEADER, "photos/x.png,,,,,"], r"line 2: the image .*photos/x\.png does not exist; correct the path"),
        ([HEADER, r"photos\a.png,,,,,"], r"line 2: the image .* does not exist; separate folders by '/'"),
        ([HEADER, "photos,,,,,"], r"line 2: the image .*photos is a folder; give the path of a file"),
        ([HEADER, "photos/a.png,,,1,,x.png"], r"line 2: the mask .*x\.png does not exist; correct the path"),
        ([HEADER, ",lid,,,,"], r"line 2: the path is empty"),
        ([HEADER, "photos/a.png,a/b,,,,"], r"line 2: a category cannot be called 'a/b'"),
        ([HEADER, "photos/a.png,logs,,,,"], r"line 2: a category cannot be called 'logs'"),
        ([HEADER, "photos/a.png,,,good,dent,"], r"line 2: the label is 'good' but the defect type 'dent'; correct"),
        ([HEADER, "photos/a.png,,,1,good,"], r"line 2: the label is '1' but the defect type 'good'; correct"),
        (["path,label", "photos/a.png,1,dent"], r"line 2: the cell 'dent' belongs to no column"),
        (["path", '"photos/a.png" x'], r"is not CSV \(line 2: .*\); correct that line"),
        (["path", '"photos/a.png'], r"is not CSV \(line 2: unexpected end of data\)"),
        (["path", '"photos/a\nb.png"'], r"line 3: the cell 'photos/a\\nb\.png' contains a line break"),
        (
            ["path,image_id", "photos/a.png,x.png", "photos/b.png,./x.png"],
            r"line 3: \./x\.png is already in line 2",
        ),
        (["path,image_id", "photos/a.png,../x.png"], r"line 2: an image cannot be called '\.\./x\.png'"),
        (
            ["path,image_id", "photos/a.png,/x.png"],
            r"line 2: an image cannot be called '/x\.png', since results are stored",
        ),
        (["path,image_id", "photos/a.png,./"], r"line 2: an image cannot be called '\./'"),
        (["path", "a" * 300 + ".png"], r"line 2: .* cannot be reached \(File name too long\)"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(table: Table, lines: list[str], sentence: str) -> None:
    root = table(*lines)
    with pytest.raises(DataError, match=sentence):
        identifiers(CsvLayout(), root)


def test_a_table_may_say_what_results_call_an_image(table: Table) -> None:
    root = table("image_id,path", "side/./1.png,photos/a.png", ",photos/b.png")
    items = CsvLayout().items(root, "lids")
    assert {item.image_id: item.path.name for item in items} == {"side/1.png": "a.png", "photos/b.png": "b.png"}


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_refused_with_the_mend(table: Table, encoding: str) -> None:
    root = table("path", "photos/ä.png", encoding=encoding)
    with pytest.raises(DataError, match=r"is not text in UTF-8; save it as 'CSV UTF-8'"):
        CsvLayout().categories(root)


def test_a_table_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the table .*manifest\.csv does not exist; set dataset\.root to it"):
        CsvLayout().categories(tmp_path)
    with pytest.raises(DataError, match=r"the table .*mine\.csv does not exist"):
        CsvLayout().categories(tmp_path / "mine.csv")
