"""The check finds what is wrong with a category and counts what is there; each finding is one sentence."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zsad.columns import aligned
from zsad.data.catalogue import DatasetFacts, ImageCounts
from zsad.data.check_images import check_images
from zsad.data.guessing import guess_layout
from zsad.data.inspection import (
    Inspection,
    SizeCount,
    inspect_category,
    missing_categories,
    shortened,
)
from zsad.data.inspection_table import WIDTH, FeatureCost, bytes_text, category_text, inspection_text, seconds_text
from zsad.data.layouts.base import Layout
from zsad.data.layouts.item import Item
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.errors import DataError
from zsad.files.json_files import read_json

SIZE = (12, 16)
DEFECTS = ("0", "1", "2", "3")
MASK = np.pad(np.full((3, 3), 255, dtype=np.uint8), ((2, 7), (2, 11)))


@pytest.fixture
def root(tmp_path: Path, write_png: Callable[..., Path]) -> Path:
    """A data set of one sound category, ``tile``: 3 images to train on, 2 good and 4 scratched ones to test."""
    folder = tmp_path / "set" / "tile"
    names = [f"train/good/{name}" for name in "012"] + [f"test/good/{name}" for name in "01"]
    names += [f"test/scratch/{name}" for name in DEFECTS]
    for seed, name in enumerate(names):
        write_png(folder / f"{name}.png", size=SIZE, seed=seed)
    for name in DEFECTS:
        write_png(folder / "ground_truth" / "scratch" / f"{name}_mask.png", MASK)
    return tmp_path / "set"


def inspected(root: Path, *, full: bool = False, facts: DatasetFacts | None = None) -> Inspection:
    return inspect_category(MvtecLayout(), root, "tile", full=full, facts=facts)


def published(**categories: ImageCounts | None) -> DatasetFacts:
    return DatasetFacts(title="Tiles", citation="", licence="", homepage="", categories=categories)


@pytest.mark.parametrize("full", [False, True])
def test_a_sound_category_is_counted_and_nothing_is_said_against_it(root: Path, full: bool) -> None:
    found = inspected(root, full=full)
    assert found == Inspection(
        category="tile",
        counts={"train": {"good": 3}, "test": {"good": 2, "scratch": 4}},
        sizes=(SizeCount("test", 12, 16, 6), SizeCount("train", 12, 16, 3)),
        modes={"RGB": 9},
    )
    assert found.images == 9


def test_sizes_are_upright_and_modes_are_those_of_the_files(root: Path) -> None:
    folder = root / "tile" / "train" / "good"
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("L", (30, 20)).save(folder / "0.png")
    Image.new("CMYK", (30, 20)).save(folder / "3.jpg", exif=turned)
    Image.fromarray(np.zeros((20, 30), dtype=np.uint16)).save(folder / "4.png")
    Image.new("P", (30, 20)).save(folder / "5.PNG")
    found = inspected(root)
    assert found.modes == {"RGB": 8, "L": 1, "CMYK": 1, "I;16": 1, "P": 1}
    trained = {(size.height, size.width): size.images for size in found.sizes if size.split == "train"}
    assert trained == {(12, 16): 2, (20, 30): 3, (30, 20): 1}
    assert not found.problems


Fault = Callable[[Path], object]
PROBLEMS: dict[str, tuple[Fault, str]] = {
    "a page that was saved as an image": (
        lambda folder: (folder / "test/good/0.png").write_text("<html>"),
        r"test/good/0\.png [^;]*; [^;]*",
    ),
    "an empty file": (
        lambda folder: (folder / "test/good/0.png").write_bytes(b""),
        r"test/good/0\.png [^;]*; [^;]*",
    ),
    "a link that leads nowhere": (
        lambda folder: (folder / "test/good/9.png").symlink_to("nowhere.png"),
        r"test/good/9\.png .*does not exist|test/good/9\.png cannot be read",
    ),
    "several of them": (
        lambda folder: [path.write_text("<html>") for path in sorted(folder.glob("test/scratch/*"))],
        r"test/scratch/0\.png .*; and 3 more like it: test/scratch/1\.png, test/scratch/2\.png, test/scratch/3\.png",
    ),
    "a mask of another size": (
        lambda folder: Image.new("L", (8, 8)).save(folder / "ground_truth/scratch/1_mask.png"),
        r"1_mask\.png is 8 x 8 pixels but its image is 16 x 12; .*",
    ),
    "a broken mask": (
        lambda folder: (folder / "ground_truth/scratch/1_mask.png").write_text("<html>"),
        r"1_mask\.png [^;]*; .*",
    ),
    "no test image": (
        lambda folder: [path.unlink() for path in folder.glob("test/*/*")],
        r"category 'tile' has no test images in .*; add some or leave it out",
    ),
}


@pytest.mark.parametrize(("fault", "sentence"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_is_named_in_one_sentence(root: Path, fault: Fault, sentence: str) -> None:
    fault(root / "tile")
    (problem,) = inspected(root).problems
    assert re.search(sentence, problem)
    assert "\n" not in problem


def test_pixels_that_are_cut_off_are_found_only_by_reading_all(root: Path) -> None:
    path = root / "tile/test/good/9.bmp"
    Image.new("RGB", SIZE[::-1]).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    assert not inspected(root).problems
    (problem,) = inspected(root, full=True).problems
    assert "test/good/9.bmp" in problem


WARNINGS: dict[str, tuple[Fault, str]] = {
    "a missing mask": (
        lambda folder: (folder / "ground_truth/scratch/2_mask.png").unlink(),
        "1 defective image without a mask, and so left out of the pixel metrics: test/scratch/2.png",
    ),
    "no masks at all": (
        lambda folder: shutil.rmtree(folder / "ground_truth"),
        (
            "4 defective images without a mask, and so left out of the pixel metrics: test/scratch/0.png, "
            "test/scratch/1.png, test/scratch/2.png and 1 more"
        ),
    ),
    "an empty mask": (
        lambda folder: Image.new("L", SIZE[::-1]).save(folder / "ground_truth/scratch/3_mask.png"),
        "1 defective image with a mask that marks no pixel: test/scratch/3.png",
    ),
    "an inverted mask": (
        lambda folder: Image.fromarray(255 - MASK).save(folder / "ground_truth/scratch/3_mask.png"),
        "1 image with a mask that marks more than half of it, as an inverted one does: test/scratch/3.png",
    ),
    "a training image among the test images": (
        lambda folder: shutil.copy(folder / "train/good/1.png", folder / "test/good/9.png"),
        "1 test image also among the training images, byte for byte, which makes results with references too good: "
        "test/good/9.png",
    ),
    "a test image twice": (
        lambda folder: shutil.copy(folder / "test/good/0.png", folder / "test/good/9.png"),
        "1 image a byte-identical copy of another image of its split: test/good/9.png",
    ),
    "a PNG called JPEG": (
        lambda folder: (folder / "test/good/0.png").rename(folder / "test/good/0.JPG"),
        "1 image in another format than the suffix says, but read anyway: test/good/0.JPG (PNG)",
    ),
    "other files": (
        lambda folder: [(folder / "test" / name).touch() for name in ("a.txt", "Thumbs.db", ".hidden", "b.csv")],
        "2 files ignored because it has no image suffix: test/a.txt, test/b.csv",
    ),
    "a mask without an image": (
        lambda folder: (folder / "test/scratch/2.png").unlink(),
        "1 mask without an image of the same name: ground_truth/scratch/2_mask.png",
    ),
}


@pytest.mark.parametrize(("fault", "sentence"), WARNINGS.values(), ids=WARNINGS)
def test_what_does_not_stop_a_run_is_a_warning_of_one_sentence(root: Path, fault: Fault, sentence: str) -> None:
    fault(root / "tile")
    found = inspected(root)
    assert not found.problems
    assert found.warnings == (sentence,)


def test_copies_are_counted(root: Path) -> None:
    folder = root / "tile"
    for name in ("8", "9"):
        shutil.copy(folder / "train/good/1.png", folder / f"test/good/{name}.png")
    shutil.copy(folder / "train/good/1.png", folder / "train/good/9.png")
    found = inspected(root)
    assert (found.leaked, found.repeated) == (2, 2)


def test_images_of_equal_length_and_other_bytes_are_no_copies(root: Path) -> None:
    for seed, name in enumerate(("train/good/7", "test/good/7")):
        pixels = np.full((*SIZE, 3), seed, dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"tile/{name}.bmp")
    found = inspected(root)
    assert (root / "tile/train/good/7.bmp").stat().st_size == (root / "tile/test/good/7.bmp").stat().st_size
    assert (found.leaked, found.repeated) == (0, 0)


def test_what_was_published_is_compared_with_what_is_here(root: Path) -> None:
    assert not inspected(root, facts=published(tile=ImageCounts(train=3, test=6))).warnings
    assert not inspected(root, facts=published(tile=None)).warnings
    assert inspected(root, facts=published(tile=ImageCounts(train=4, test=7))).warnings == (
        "Tiles was published with 4 train images of tile, but 3 are here",
        "Tiles was published with 7 test images of tile, but 6 are here",
    )
    (warning,) = inspected(root, facts=published(tiles=None)).warnings
    assert warning == "'tile' is not a published category of Tiles; did you mean 'tiles'?"


def test_published_and_found_categories_are_compared() -> None:
    facts = published(a=None, b=None, c=None)
    assert missing_categories(facts, ["c", "d"]) == ["a", "b"]
    assert missing_categories(None, ["c"]) == []


class ByMask(Layout):
    """Images whose masks alone tell whether they are defective; it reads a table and remarks on something."""

    summary = "for the tests"

    def categories(self, root: Path) -> list[str]:
        return ["all"]

    def items(self, root: Path, category: str) -> list[Item]:
        def item(path: Path) -> Item:
            mask = root / f"{path.stem}_mask.png"
            return Item(path, path.name, path.stem.split("-")[0], "mask", "dent", mask if mask.exists() else None)

        return [item(path) for path in sorted(root.glob("*.png")) if not path.stem.endswith("_mask")]

    def tables(self, root: Path, category: str) -> list[Path]:
        return [root / "table.csv"]

    def remarks(self, root: Path, category: str) -> list[str]:
        return ["half of it is left out"]


def test_where_the_mask_alone_tells_it_decides_what_an_image_is(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    for seed, name in enumerate(("train-0", "train-1", "test-0", "test-1", "test-2")):
        write_png(tmp_path / f"{name}.png", size=SIZE, seed=seed)
    for name, mask in (("train-1", MASK), ("test-1", MASK), ("test-2", np.zeros_like(MASK))):
        write_png(tmp_path / f"{name}_mask.png", mask)
    (tmp_path / "table.csv").touch()
    (tmp_path / "notes.txt").touch()
    found = inspect_category(ByMask(), tmp_path, "all")
    assert found.counts == {"train": {"dent": 1, "good": 1}, "test": {"dent": 1, "good": 2}}
    assert found.sizes == (SizeCount("test", 12, 16, 3), SizeCount("train", 12, 16, 1))
    assert found.warnings == (
        "1 training image left out because defective: train-1.png",
        "1 file ignored because it has no image suffix: notes.txt",
        "half of it is left out",
    )


def test_a_layout_that_cannot_list_its_images_is_a_problem(root: Path) -> None:
    class Broken(MvtecLayout):
        def items(self, root: Path, category: str) -> list[Item]:
            raise DataError("the table is gone; fetch it")

    found = inspect_category(Broken(), root, "tile")
    assert found == Inspection("tile", problems=("the table is gone; fetch it",))
    assert category_text(found) == "tile: 0 images\n  problem    the table is gone; fetch it"


def test_the_stage_writes_what_it_found_and_logs_it(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    check_images(MvtecLayout(), root, "tile", tmp_path / "check.json", {"stage": "check_images"})
    written = read_json(tmp_path / "check.json")
    assert written.pop("provenance") == {"stage": "check_images"}
    assert written == json.loads(json.dumps(asdict(inspected(root))))
    assert written["sizes"][0] == {"split": "test", "height": 12, "width": 16, "images": 6}
    assert "tile: 9 images" in caplog.text


@pytest.mark.parametrize(
    ("faults", "more"),
    [
        (["a mask of another size"], ""),
        (["a mask of another size", "an empty file"], "; and 1 more problem: run `zsad check`"),
    ],
)
def test_the_stage_stops_at_a_problem_and_leaves_nothing(
    root: Path, tmp_path: Path, faults: Sequence[str], more: str
) -> None:
    for fault in faults:
        PROBLEMS[fault][0](root / "tile")
    with pytest.raises(DataError) as raised:
        check_images(MvtecLayout(), root, "tile", tmp_path / "check.json", {"stage": "check_images"})
    first = inspected(root).problems[0]
    assert str(raised.value) == first + more
    assert not (tmp_path / "check.json").exists()


def test_the_table_says_it_all_in_100_columns() -> None:
    screw = Inspection(
        category="screw",
        counts={"train": {"good": 320}, "test": {"good": 41, "scratch_head": 24}},
        sizes=(SizeCount("test", 1024, 800, 65), SizeCount("train", 1024, 800, 320)),
        modes={"L": 380, "RGB": 5},
        leaked=2,
        warnings=(
            "24 defective images without a mask: " + ", ".join(f"test/scratch_head/{n:03d}.png" for n in range(9)),
        ),
    )
    tile = Inspection(
        category="tile",
        counts={"test": {"unlabelled": 4}},
        sizes=tuple(SizeCount("test", 20 + step, 30 - step, 1) for step in range(4)),
        modes={"RGB": 4},
        problems=("one image is broken; fix it",),
    )
    costs = [
        FeatureCost("screw", "dinov2", "test", "original", 65, 1_500_000_000, 40.0),
        FeatureCost("screw", "dinov2", "train", "hflip", 320, 15_500_000_000, 7000.0),
        FeatureCost("screw", "sam", "test", "", 65, None, None),
        FeatureCost("tile", "dinov2", "test", "original", 4, 12_000_000, 2.4),
    ]
    text = inspection_text([screw, tile], costs)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert (
        text
        == """\
screw: 385 images
  split  type          images
  train  good             320
  test   good              41
  test   scratch_head      24
  size       800 x 1024 (385)
  stored as  L (380), RGB (5)
  warning    24 defective images without a mask: test/scratch_head/000.png,
             test/scratch_head/001.png, test/scratch_head/002.png, test/scratch_head/003.png,
             test/scratch_head/004.png, test/scratch_head/005.png, test/scratch_head/006.png,
             test/scratch_head/007.png, test/scratch_head/008.png

tile: 4 images
  split  type        images
  test   unlabelled       4
  size       4 sizes, most often 30 x 20 (1); width 27 to 30, height 20 to 23
  stored as  RGB (4)
  problem    one image is broken; fix it

in total
  images     389 images in 2 categories (320 train, 69 test)
  copies     2 of a training image among the test images, 0 within a split
  found      1 problem, 1 warning

features by  of     view        images    disk   time
dinov2       test   original        69  1.5 GB   42 s
dinov2       train  hflip          320   16 GB  1.9 h
sam          test   embeddings      65       ?      ?
in total                       454   17 GB  2.0 h
Time is the approximate time of the computation on this machine at best, without loading a model or
reading images; ? marks what is unknown before the model is here, and is not in the sum."""
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (bytes_text(None), "?"),
        (bytes_text(0), "0 B"),
        (bytes_text(999), "999 B"),
        (bytes_text(1500), "1.5 kB"),
        (bytes_text(23_400_000), "23 MB"),
        (bytes_text(4.56e9), "4.6 GB"),
        (bytes_text(7e12), "7.0 TB"),
        (seconds_text(None), "?"),
        (seconds_text(0.2), "< 1 s"),
        (seconds_text(59), "59 s"),
        (seconds_text(90), "1.5 min"),
        (seconds_text(3 * 3600), "3.0 h"),
        (seconds_text(30 * 86400), "30 d"),
    ],
)
def test_amounts_are_given_in_a_readable_unit(text: str, expected: str) -> None:
    assert text == expected


def test_of_many_names_three_are_given() -> None:
    assert shortened(["a", "b", "c"]) == "a, b, c"
    assert shortened(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_numbers_are_aligned_to_the_right() -> None:
    assert aligned([("name", "n"), ("a", "10"), ("bcdef", "9")], ("n",)) == ["name    n", "a      10", "bcdef   9"]


def test_the_real_photographs_are_counted_as_by_hand(real_root: Path) -> None:
    folder = real_root / "magnetic_tile"
    found = inspect_category(MvtecLayout(), real_root, "magnetic_tile", full=True)
    for split, types in found.counts.items():
        assert types == {kind.name: len(list(kind.iterdir())) for kind in sorted((folder / split).iterdir())}
    assert found.images == 140
    assert sum(size.images for size in found.sizes) == 140
    assert not found.problems
    assert not found.warnings


TREES: dict[str, tuple[Sequence[str], str, tuple[str, str, list[str]]]] = {
    "MVTec AD": (["a/test/good/0.png", "a/train/good/0.png"], ".", ("mvtec", ".", [])),
    "one category of it": (["a/test/good/0.png"], "a", ("mvtec", ".", ["a"])),
    "VisA": (["split_csv/1cls.csv", "candle/Data/Images/Normal/0.JPG"], ".", ("visa", ".", [])),
    "MVTec AD 2": (["can/test_public/good/0.png", "can/train/good/0.png"], ".", ("mvtec_ad_2", ".", [])),
    "one category of MVTec AD 2": (["can/test_public/good/0.png"], "can", ("mvtec_ad_2", ".", ["can"])),
    "MVTec LOCO": (["a/defects_config.json", "a/test/good/0.png"], ".", ("mvtec_loco", ".", [])),
    "BTAD": (["01/train/ok/0.bmp", "01/test/ko/0.bmp"], ".", ("btad", ".", [])),
    "one category of BTAD": (["01/train/ok/0.bmp", "01/test/ko/0.bmp"], "01", ("btad", ".", ["01"])),
    "magnetic tiles": (["MT_Free/Imgs/0.jpg", "MT_Crack/Imgs/0.jpg"], ".", ("magnetic_tile", ".", [])),
    "KolektorSDD2": (["train/1.png", "train/1_GT.png", "test/2.png"], ".", ("kolektor_sdd2", ".", [])),
    "Real-IAD": (["realiad_jsons/a.json", "realiad_1024/a/0.jpg"], ".", ("real_iad", ".", [])),
    "a table": (["manifest.csv", "other.csv", "0.png"], ".", ("csv", ".", [])),
    "a table of another name": (["list.csv", "0.png"], ".", ("csv", "list.csv", [])),
    "the table itself": (["list.csv", "0.png"], "list.csv", ("csv", "list.csv", [])),
    "several tables": (["a.csv", "b.csv", "0.png"], ".", ("folder", ".", [])),
    "images": (["0.PNG", "notes.txt"], ".", ("folder", ".", [])),
    "images further down": (["day 1/0.tif"], ".", ("folder", ".", [])),
}


@pytest.mark.parametrize(("files", "given", "expected"), TREES.values(), ids=TREES)
def test_a_bare_folder_is_recognised(
    tmp_path: Path, files: Sequence[str], given: str, expected: tuple[str, str, list[str]]
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    layout, root, categories = expected
    assert guess_layout(tmp_path / given) == (layout, tmp_path / root, categories)


def test_a_category_is_recognised_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "test" / "good").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    assert guess_layout(Path()) == ("mvtec", tmp_path, ["a"])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none", "none is neither a folder nor a CSV file; give the folder of the images"),
        ("note.txt", "note.txt is neither a folder nor a CSV file; give the folder of the images"),
        ("empty", "nothing in .*empty looks like images or a table of images; give the folder of the images"),
    ],
)
def test_what_holds_no_images_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "note.txt").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "note.txt").touch()
    with pytest.raises(DataError, match=sentence):
        guess_layout(tmp_path / name)
