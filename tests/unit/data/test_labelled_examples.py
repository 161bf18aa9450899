"""Labelled examples beside the data set: where they lie, what they show, and one sentence for what cannot be."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsad.data.bounds import Bounds
from zsad.data.image_list import read_image_list
from zsad.data.kind_names import alike, check_distinct, check_kind, kind_named
from zsad.data.kinds import kind_of, read_kinds, shown_kind, write_kinds
from zsad.data.manifest import ImageRecord
from zsad.data.read_support import read_support
from zsad.data.support_source import SupportSource, check_photographs
from zsad.errors import ConfigError, DataError
from zsad.files.provenance import file_sha256
from zsad.workflow.schema import Config

WritePng = Callable[..., Path]
NAMES = ("crack/0.png", "crack/b/1.JPG", "good/0.png", "hole/0.png", "hole/1.png")
TABLE = "path,kind\ncrack/0.png,crack\ncrack/b/1.JPG,crack\ngood/0.png,ok\nhole/0.png,hole\n"


class Shelf:
    """A folder with examples, and a table of them."""

    def __init__(self, folder: Path, write_png: WritePng) -> None:
        self.folder, self.table, self._write = folder, folder / "examples.csv", write_png
        for seed, name in enumerate(NAMES):
            self.draw(name, seed)
        (folder / "hole/notes.txt").write_text("no image")
        (folder / ".thumbnails").mkdir()

    def draw(self, name: str, seed: int = 50, pixels: np.ndarray | None = None) -> Path:
        return self._write(self.folder / name, pixels, seed=seed)

    def write(self, text: str = TABLE, encoding: str = "utf-8") -> None:
        self.table.write_bytes(text.encode(encoding))

    def as_folder(self) -> SupportSource:
        return SupportSource(folder=self.folder.as_posix())

    def as_table(self, **columns: str) -> SupportSource:
        return SupportSource(table=self.table.as_posix(), **columns)


@pytest.fixture
def shelf(tmp_path: Path, write_png: WritePng) -> Shelf:
    return Shelf(tmp_path / "My examples", write_png)


def listed(source: SupportSource, category: str = "tile") -> dict[str, str]:
    return {example.image_id: example.kind for example in source.items(category)}


# Where they lie, and what they show.


def test_a_folder_has_one_for_each_kind_with_all_those_in_it(shelf: Shelf) -> None:
    assert listed(shelf.as_folder()) == {name: name.partition("/")[0] for name in NAMES}
    assert shelf.as_folder().files("tile") == sorted(shelf.folder / name for name in NAMES)


def test_a_category_may_have_a_folder_of_its_own(shelf: Shelf) -> None:
    shelf.folder.rename(shelf.folder.with_name("tile"))
    source = SupportSource(folder=shelf.folder.parent.as_posix())
    assert listed(source) == {name: name.partition("/")[0] for name in NAMES}


def test_a_table_lists_paths_and_kinds(shelf: Shelf) -> None:
    shelf.write()
    expected = {"crack/0.png": "crack", "crack/b/1.JPG": "crack", "good/0.png": "good", "hole/0.png": "hole"}
    assert listed(shelf.as_table()) == expected
    assert shelf.as_table().files("lid") == sorted([shelf.table, *(shelf.folder / name for name in expected)])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_is_read_whatever_program_saved_it(shelf: Shelf, delimiter: str, encoding: str) -> None:
    text = (
        "Photo,Remark,FEHLER,part\r\n"
        'crack/0.png,"two\nlines",\'=Riß,tile\r\n'
        ",,,\r\n"
        'good/0.png,"a ""word""",  ok ,tile\r\n'
        "hole/0.png,,hole,lid\r\n"
    ).replace(",", delimiter)
    shelf.write(text, encoding)
    source = shelf.as_table(path="photo", kind="Fehler", category="part")
    assert listed(source, "tile") == {"crack/0.png": "=Riß", "good/0.png": "good"}
    assert listed(source, "lid") == {"hole/0.png": "hole"}


def test_an_image_may_be_an_example_for_two_categories(shelf: Shelf) -> None:
    shelf.write("path,kind,category\ncrack/0.png,crack,tile\ncrack/0.png,Crack,lid\n")
    source = shelf.as_table(category="category")
    assert [listed(source, category) for category in ("tile", "lid")] == [
        {"crack/0.png": "crack"},
        {"crack/0.png": "Crack"},
    ]


@pytest.mark.parametrize("word", ["good", "OK", "nominal", "i.O.", "Gut", "non-defective"])
def test_whatever_means_good_is_the_kind_good(shelf: Shelf, word: str) -> None:
    (shelf.folder / "good").rename(shelf.folder / word)
    assert {*listed(shelf.as_folder()).values()} == {"crack", "good", "hole"}


def test_a_kind_is_the_same_in_all_forms_of_unicode(shelf: Shelf) -> None:
    (shelf.folder / "hole").rename(shelf.folder / unicodedata.normalize("NFD", "größe"))
    assert {*listed(shelf.as_folder()).values()} == {"crack", "good", "größe"}
    record = ImageRecord("a", "a", "test", 1, unicodedata.normalize("NFD", " größe"), "", 1, 1, "")
    assert kind_of(record) == "größe"


@pytest.mark.parametrize(
    ("label", "defect_type", "kind"),
    [
        (None, "", ""),
        (0, "good", "good"),
        (0, "", "good"),
        (1, "crack", "crack"),
        (1, "", "defective"),
        (1, " ", "defective"),
    ],
)
def test_the_kind_of_a_test_image_is_its_label_and_type(label: int | None, defect_type: str, kind: str) -> None:
    assert kind_of(ImageRecord("a", "a", "test", label, defect_type, "", 1, 1, "")) == kind


def test_the_digest_tells_what_is_an_example_of_what(shelf: Shelf) -> None:
    shelf.write()
    digests = [shelf.as_table().digest("tile")]
    shelf.write(TABLE.replace("hole/0.png,hole", "hole/0.png,dent"))
    digests.append(shelf.as_table().digest("tile"))
    shelf.write(TABLE.replace("hole/0.png", "hole/1.png"))
    digests.append(shelf.as_table().digest("tile"))
    assert len({*digests}) == 3
    shelf.write(TABLE + "\n\n")
    assert shelf.as_table().digest("tile") == digests[0]


def test_the_configuration_takes_the_same_keys() -> None:
    config = Config.model_validate({"supports": {"parts": {"folder": "x"}, "none": None}})
    source = config.supports["parts"]
    assert isinstance(source, SupportSource)
    assert source.parameters() == SupportSource(folder="x").parameters()


# The stage.


def read(source: SupportSource, folder: Path, **options: Any) -> None:
    read_support(source=source, category="tile", images=folder / "l.csv", kinds=folder / "k.csv", **options)


def test_every_example_is_read_and_listed(shelf: Shelf, tmp_path: Path) -> None:
    read(shelf.as_folder(), tmp_path, threads=2, white=4095)
    images = read_image_list(tmp_path / "l.csv")
    assert [image.image_id for image in images] == [*NAMES]
    for image in images:
        assert (image.height, image.width, image.split, image.white) == (12, 16, "test", 4095)
        assert image.path == (shelf.folder / image.image_id).as_posix()
        assert image.sha256 == file_sha256(shelf.folder / image.image_id)
    assert read_kinds(tmp_path / "k.csv") == {name: name.partition("/")[0] for name in NAMES}


def test_unreadable_examples_stop_the_stage(shelf: Shelf, tmp_path: Path) -> None:
    cut = shelf.folder / "hole/0.png"
    cut.write_bytes(cut.read_bytes()[:-40])
    with pytest.raises(
        DataError, match=r"hole/0\.png cannot be read as an image .*; replace it or remove it from the folder$"
    ):
        read(shelf.as_folder(), tmp_path)
    (shelf.folder / "crack/0.png").write_bytes(b"")
    with pytest.raises(DataError) as error:
        read(shelf.as_folder(), tmp_path)
    assert str(error.value).startswith(
        "2 images of the labelled examples for tile cannot be used: replace them or remove them from the folder: "
    )
    assert "dataset.unreadable" not in str(error.value)
    assert not [*tmp_path.glob("*.csv")]


def test_what_is_taken_for_good_is_told(shelf: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (shelf.folder / "good").rename(shelf.folder / "nominal")
    with caplog.at_level("INFO"):
        read(shelf.as_folder(), tmp_path)
    assert [record.message for record in caplog.records] == [
        "tile: 'nominal' is read as the kind 'good'",
        "tile: 2 labelled examples of crack",
        "tile: 1 labelled examples of good",
        "tile: 2 labelled examples of hole",
    ]


def test_examples_out_of_bounds_stop_the_stage(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="5 images of the labelled examples for tile cannot be used: replace them or"):
        read(shelf.as_folder(), tmp_path, bounds=Bounds(max_aspect=1.2))


def test_a_link_that_leads_nowhere_is_told_by_the_stage_alone(shelf: Shelf, tmp_path: Path) -> None:
    (shelf.folder / "hole/2.png").symlink_to("nowhere.png")
    assert shelf.folder / "hole/2.png" not in shelf.as_folder().files("tile")
    with pytest.raises(DataError, match=r"hole/2\.png"):
        read(shelf.as_folder(), tmp_path)


def mask(white: int = 20) -> np.ndarray:
    pixels = np.zeros((12, 16), np.uint8)
    pixels[2:6, 3:8] = 255
    return pixels


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hole/0_mask.png", r"hole/0_mask\.png seem to be masks of the images beside them, and would be read as exa"),
        ("hole/mask/0.png", r"hole/mask contains masks, which would be read as examples; move them elsewhere"),
        ("ground_truth/0.png", r"ground_truth contains masks"),
        ("dent/4_gt.png", r"dent contains masks"),
    ],
)
def test_masks_among_the_examples_are_refused(shelf: Shelf, tmp_path: Path, name: str, said: str) -> None:
    shelf.draw(name, pixels=mask())
    with pytest.raises(DataError, match=said):
        read(shelf.as_folder(), tmp_path)
    with pytest.raises(DataError, match=said):
        shelf.as_folder().check("parts", ["tile"])
    assert not [*tmp_path.glob("*.csv")]


@pytest.mark.parametrize("name", ["hole/0_mask.png", "label/0.png", "ground_truth/0.png"])
def test_photographs_that_are_called_like_masks_are_examples(shelf: Shelf, name: str) -> None:
    shelf.draw(name)
    check_photographs(shelf.as_folder().items("tile"))


# What is refused.


def nothing(shelf: Shelf) -> None:
    """Leave everything as it is."""


def emptied(shelf: Shelf) -> None:
    for path in sorted(shelf.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def moved_to(name: str) -> Callable[[Shelf], None]:
    return lambda shelf: (shelf.folder / "hole").rename(shelf.folder / name)


def with_image(name: str) -> Callable[[Shelf], None]:
    def damage(shelf: Shelf) -> None:
        shelf.draw(name)

    return damage


def without_folders(shelf: Shelf) -> None:
    emptied(shelf)
    for name in "abc":
        shelf.draw(f"{name}.png")


def with_empty_kind(shelf: Shelf) -> None:
    (shelf.folder / "dent").mkdir()
    (shelf.folder / "dent/readme.md").write_text("to be photographed")


def a_file(shelf: Shelf) -> None:
    emptied(shelf)
    shelf.folder.rmdir()
    shelf.folder.write_text("path,kind\n")


def absent(shelf: Shelf) -> None:
    emptied(shelf)
    shelf.folder.rmdir()


def of_another_category(shelf: Shelf) -> None:
    emptied(shelf)
    for kind in ("crack", "good"):
        shelf.draw(f"Tile/{kind}/0.png")


def as_a_data_set(shelf: Shelf) -> None:
    emptied(shelf)
    for name in ("train/good/0.png", "test/good/0.png", "test/crack/0.png"):
        shelf.draw(name)


FOLDERS: dict[str, tuple[Callable[[Shelf], None], str]] = {
    "absent": (absent, r"the folder .*My examples of labelled examples does not exist; correct its path under 'supp"),
    "a file": (a_file, r"My examples is a file, but a folder of labelled examples is expected"),
    "empty": (emptied, r"My examples of labelled examples is empty; add one folder per kind, .* \(\.png, "),
    "images without folders of kinds": (
        without_folders,
        r"has 3 images outside of the folders of kinds, e\.g\. a\.png; move the images of each kind",
    ),
    "an image beside the folders": (
        with_image("lost.png"),
        r"has 1 image outside of .* lost\.png; move",
    ),
    "an empty kind": (
        with_empty_kind,
        r"My examples/dent has no image \(.*\); put examples of 'dent' there, or remove",
    ),
    "kinds that differ only by case": (
        moved_to("Crack"),
        r"the kinds 'Crack' \(.*/Crack\) and 'crack' \(.*/crack\) differ only by",
    ),
    "kinds that differ by spaces": (
        moved_to("c rack "),
        r"the kinds 'c rack' \(.*\) and 'crack' \(.*\) differ only by",
    ),
    "kinds that differ by a sign without width": (
        moved_to("cra\u200bck"),
        r"differ only by case, spaces or the form of",
    ),
    "kinds that are one": (moved_to(" crack"), r"/ crack and .*/crack are both of the kind 'crack'; put their images"),
    "two words for good": (moved_to("OK"), r"/OK and .*/good are both of the kind 'good'; put their images into one"),
    "a kind with the separator of sets": (
        moved_to("a|b"),
        r"/a\|b: a kind cannot be called 'a\|b', since '\|' separates",
    ),
    "a kind with a line break": (moved_to("a\nb"), r"the name 'a\\nb' in .* contains a line break; rename it"),
    "a kind with a control character": (
        moved_to("a\tb"),
        r"a kind cannot be called 'a\\tb', since '\\t' cannot be",
    ),
    "a kind of spaces": (moved_to("  "), r"the name of the kind is empty; give it one"),
    "another category": (
        of_another_category,
        (
            r"has none for the category 'tile'; did you mean 'Tile'\?, and .*/Tile has images only in "
            r"sub-folders, like a categ"
        ),
    ),
    "another category beside kinds": (
        with_image("lid/crack/0.png"),
        (
            r"none for the category 'tile', and .*/lid has images only in sub-folders, .*; add .*/tile, or "
            r"move the images"
        ),
    ),
    "a data set": (
        as_a_data_set,
        r"has folders of training and test images, .* set the classifier's support to 'test'",
    ),
}


@pytest.mark.parametrize(("damage", "said"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_cannot_be_examples_is_refused(
    shelf: Shelf, tmp_path: Path, damage: Callable[[Shelf], None], said: str
) -> None:
    damage(shelf)
    for refuse in (
        lambda source: source.items("tile"),
        lambda source: source.files("tile"),
        lambda source: source.check("parts", ["tile"]),
        lambda source: read(source, tmp_path),
    ):
        with pytest.raises(DataError, match=said) as error:
            refuse(shelf.as_folder())
        assert "\n" not in str(error.value)
    assert not [*tmp_path.glob("*.csv")]


def test_a_kind_whose_name_is_no_text_is_refused(shelf: Shelf) -> None:
    (shelf.folder / "hole").rename(shelf.folder / os.fsdecode(b"h\xffle"))
    with pytest.raises(DataError, match="is not text in UTF-8; rename it"):
        shelf.as_folder().items("tile")


TABLES: dict[str, tuple[str, str]] = {
    "no bytes": (
        "",
        r"examples\.csv of labelled examples has no column 'path'; its first line must name it, or set",
    ),
    "a header alone": ("path,kind\n\n", r"the table .*examples\.csv lists no image; add one line per image, with its"),
    "no column of paths": ("file,kind\nhole/0.png,hole\n", r"has no column 'path'.*; its first line must name it"),
    "no column of kinds": ("path,kinds\nhole/0.png,hole\n", r"has no column 'kind'; did you mean 'kinds'\?"),
    "two columns of kinds": ("path,kind,Kind\nhole/0.png,a,b\n", r"has two columns 'kind'; remove one of them"),
    "an empty kind": (
        TABLE + "hole/1.png,\n",
        r"line 6: the kind of hole/1\.png is empty; add it or remove the line",
    ),
    "an empty path": (TABLE + ",hole\n", r"line 6: the path is empty; add it or remove the line"),
    "an image twice": (
        TABLE + "hole/0.png,hole\n",
        r"line 6: hole/0\.png is already in line 5; remove one of the two",
    ),
    "an image twice by a detour": (TABLE + "crack/../hole/0.png,dent\n", r"line 6: .* is already in line 5"),
    "an image that is not there": (
        TABLE + "hole/7.png,hole\n",
        r"line 6: the image .*hole/7\.png does not exist; corr",
    ),
    "a folder": (TABLE + "hole,hole\n", r"line 6: the image .*/hole is a folder; give the path of a file"),
    "backslashes": (TABLE + "hole\\1.png,hole\n", r"line 6: .* does not exist; separate folders by '/'"),
    "a path in no home": (TABLE + "~nobody-at-all/1.png,hole\n", r"line 6: user 'nobody-at-all' has no home folder"),
    "a separator in a kind": (TABLE + "hole/1.png,a|b\n", r"line 6: a kind cannot be called 'a\|b'"),
    "a line break in a kind": (TABLE + 'hole/1.png,"a\nb"\n', r"the cell 'a\\nb' contains a line break; remove it"),
    "a cell without column": (
        TABLE + "hole/1.png,hole,deep\n",
        r"line 6: the cell 'deep' belongs to no column; put cells",
    ),
    "kinds that differ only by case": (
        TABLE + "hole/1.png,HOLE\n",
        r"'HOLE' \(.*line 6\) and 'hole' \(.*line 5\) differ only by case",
    ),
    "an open quote": (TABLE + 'hole/1.png,"hole\n', r"is not CSV \(line 6: .*\); correct that line"),
    "UTF-16": ("\ufeff" + TABLE, r"is not text in UTF-8; save it as 'CSV UTF-8'"),
}


@pytest.mark.parametrize(("text", "said"), TABLES.values(), ids=TABLES)
def test_a_table_that_cannot_be_examples_is_refused(shelf: Shelf, text: str, said: str) -> None:
    shelf.write(text, "utf-16-le" if text.startswith("\ufeff") else "utf-8")
    for refuse in (lambda source: source.items("tile"), lambda source: source.check("parts", ["tile"])):
        with pytest.raises(DataError, match=said) as error:
            refuse(shelf.as_table())
        assert "\n" not in str(error.value)


def test_a_table_without_the_category_is_refused(shelf: Shelf) -> None:
    shelf.write("path,kind,part\nhole/0.png,hole,tiles\ncrack/0.png,crack,\n")
    with pytest.raises(DataError, match="line 3: the category is empty; add it or remove the line"):
        shelf.as_table(category="part").items("tile")
    shelf.write("path,kind,part\nhole/0.png,hole,tiles\n")
    with pytest.raises(DataError, match=r"lists no labelled example for the category 'tile'; did you mean 'tiles'\?"):
        shelf.as_table(category="part").items("tile")
    with pytest.raises(
        DataError, match=r"has no column 'category'.*; its first line must name it, or set another column"
    ):
        shelf.as_table(category="category").check("parts")


def test_a_table_that_is_not_there_is_refused(shelf: Shelf) -> None:
    with pytest.raises(
        DataError, match=r"the table .*examples\.csv of labelled examples does not exist; correct its path under"
    ):
        shelf.as_table().check("parts")
    shelf.table.mkdir()
    with pytest.raises(
        DataError, match=r"examples\.csv is a folder, but a table .* is expected; give it as the folder"
    ):
        shelf.as_table().check("parts")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {},
            r"supports\.parts has neither a folder nor a table; set one of supports\.parts\.folder and supports\.parts",
        ),
        ({"folder": "a", "table": "b.csv"}, r"supports\.parts has both a folder and a table; set one of"),
        (
            {"folder": "a", "kind": "type"},
            r"supports\.parts\.kind names a column of a table, but supports\.parts is a fol",
        ),
        ({"folder": "a", "category": "part"}, r"supports\.parts\.category names a column of a table"),
        ({"table": "b.csv", "kind": " "}, r"supports\.parts has a column without a name; give it a name"),
        ({"table": "b.csv", "kind": "Path"}, r"supports\.parts uses the column 'path' twice; name another"),
        ({"table": "b.csv", "category": "kind"}, r"supports\.parts uses the column 'kind' twice"),
    ],
)
def test_settings_that_cannot_be_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SupportSource(**params).check("parts")


# Names of kinds.


@pytest.mark.parametrize(("name", "kind"), [("crack", "crack"), ("  deep   crack ", "deep crack"), ("o\u0308", "ö")])
def test_a_kind_is_named_in_one_form(name: str, kind: str) -> None:
    assert kind_named(name) == kind
    check_kind(kind, "here")


@pytest.mark.parametrize("name", ["sound absorber", "gouge", "goods damaged", "perfectly round"])
def test_what_does_not_mean_good_is_kept(name: str) -> None:
    assert shown_kind(name) == name


@pytest.mark.parametrize(
    ("one", "other", "are_alike"),
    [
        ("crack", "Crack", True),
        ("deep crack", "deep_crack", True),
        ("deep crack", "deepcrack", True),
        ("Straße", "STRASSE", True),
        ("ﬁne", "fine", True),
        ("a\u00a0b", "a b", True),
        ("crack", "cracks", False),
        ("type 1", "type 2", False),
        ("-1", "1", False),
        ("pol+", "pol-", False),
    ],
)
def test_kinds_are_alike_by_case_spaces_and_form_alone(one: str, other: str, are_alike: bool) -> None:
    assert (alike(one) == alike(other)) == are_alike
    if are_alike:
        with pytest.raises(DataError, match="differ only by case, spaces or the form of their letters"):
            check_distinct({one: "here", other: "there"})
    else:
        check_distinct({one: "here", other: "there"})


def test_a_table_of_kinds_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k.csv"
    write_kinds(path, {"b.png": "=1|2".replace("|", " "), "a.png": "good"})
    assert read_kinds(path) == {"a.png": "good", "b.png": "=1 2"}
    path.write_text(path.read_text().replace("good", "crack"))
    with pytest.raises(DataError, match=r"k\.csv was changed after it was made; delete it and run again"):
        read_kinds(path)
    write_kinds(path, {"a.png": "good", "b.png": "Good"})
    with pytest.raises(
        DataError, match=r"k\.csv is not a valid table of kinds \(.*differ only by case.*\); delete it and run again"
    ):
        read_kinds(path)
