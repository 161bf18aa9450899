"""Exports are what was found, to the pixel, in files that the programs read for which they are."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image
from pycocotools.coco import COCO

import zsad
from decision_files import write_decisions
from paths import REPOSITORY
from zsad.cli import main
from zsad.data.image_list import ListedImage, write_images
from zsad.data.images import read_image
from zsad.deciding.decision import Decision
from zsad.errors import ConfigError, DataError
from zsad.exporting.export_results import export_results
from zsad.exporting.exported import Export, ExportedImage
from zsad.exporting.folders import whole_folder
from zsad.exporting.marks import Marked, marked
from zsad.exporting.names import Names, with_ending
from zsad.exporting.regions import find_regions
from zsad.exporting.registry import FORMATS
from zsad.exporting.writing import exporting
from zsad.files.csv_files import read_table
from zsad.files.json_files import read_json
from zsad.files.masks import MaskWriter
from zsad.files.provenance import file_sha256
from zsad.files.scores import ScoreWriter
from zsad.maps import Thresholds, at_image_size, standing_out
from zsad.reporting.overlays import colour_scale
from zsad.workflow.settings import load

THRESHOLD = 0.5
RANDOM = np.random.default_rng(0)
MESSY = (
    "good/a.png",
    "good/a.jpg",  # of one stem
    "good/A.PNG",  # on some disks the same name
    "cafe\u0301 1.png",  # an accent of its own
    "caf\u00e9 1.bmp",  # and not
    "=1+1, \"quoted\"; 'x'.png",
    "two\nlines/-{x}<y> [1] 100%.tif",
    "images/images.png",  # a folder that YOLO takes for that of all photographs
    "deep.png/file.png",  # a folder called as a file
    "no ending",
    "ends.in.dots...png",
)


@dataclass
class Category:
    """The results of a category by one method, with what is expected of each image."""

    folder: Path
    method: str = "bank"
    ids: list[str] = field(default_factory=list)
    masks: list[np.ndarray] = field(default_factory=list)
    maps: list[np.ndarray] = field(default_factory=list)

    @property
    def scores(self) -> Path:
        return self.folder / "scores" / f"{self.method}.h5"

    @property
    def decisions(self) -> Path:
        return self.folder / "decisions" / f"{self.method}.h5"

    @property
    def mask_file(self) -> Path:
        return self.folder / "masks" / f"{self.method}.guided.h5"

    @property
    def out(self) -> Path:
        return self.folder / "exports" / self.method

    def export(self, formats: Sequence[str] = tuple(FORMATS.names()), *, plain: bool = False) -> Path:
        export_results(
            image_list=self.folder / "images.csv",
            scores=self.scores,
            decisions=self.decisions,
            masks=None if plain else self.mask_file,
            formats=formats,
            colormap="inferno",
            folder=self.out,
            title="tiles by bank",
            provenance={},
        )
        return self.out


def category(
    folder: Path,
    ids: Sequence[str] = MESSY,
    *,
    size: tuple[int, int] = (41, 57),
    localises: bool = True,
    noise: float = 1.0,
    thresholds: tuple[float, float] = (THRESHOLD, 0.3),
    **decided: Any,
) -> Category:
    """Photographs with maps of noise; the masks are noise too, with holes and parts, and every third one is empty."""
    made = Category(folder / "results/parts/tiles")
    records = []
    for index, image_id in enumerate(ids):
        path = folder / "photographs" / image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = RANDOM.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, format="PNG")
        records.append(ListedImage(image_id, str(path), "test", *size, file_sha256(path)))
        made.ids.append(image_id)
        made.maps.append((noise * RANDOM.random((5, 7))).astype(np.float32))
        made.masks.append(RANDOM.random(size) < (0.55 if index % 3 else 0))
    write_images(made.folder / "images.csv", [ListedImage("train/0.png", "x", "train", 3, 3, "0"), *records])
    image_scores = [float(anomaly_map.max()) for anomaly_map in made.maps]
    grids = np.array([anomaly_map.shape for anomaly_map in made.maps])
    with ScoreWriter(made.scores, ids, {}, grid_sizes=grids, setting="few-shot-1", localises=localises) as writer:
        for index, anomaly_map in enumerate(made.maps):
            writer.write(index, anomaly_map, image_scores[index])
    write_decisions(made.decisions, made.scores, *thresholds, **decided)
    with MaskWriter(made.mask_file, ids, {}) as writer:
        for mask in made.masks:
            writer.append(mask, 1.0, [])
    return made


def shown(made: Category) -> list[Marked]:
    """What is to be shown of each image."""
    with zsad.read_decisions(made.decisions) as decisions:
        return [
            marked(anomaly_map, decisions.thresholds(index), *made.masks[index].shape)
            for index, anomaly_map in enumerate(made.maps)
        ]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> Category:
    made = category(tmp_path_factory.mktemp("messy"))
    made.export()
    return made


def test_each_image_has_pictures_of_its_own_size_under_a_name_of_its_own(messy: Category) -> None:
    names = Names()
    pictures = [with_ending(Path(), names.of(image_id), ".png") for image_id in messy.ids]
    assert len({str(picture).casefold() for picture in pictures}) == len(MESSY)
    assert pictures[:2] == [Path("good/a.png"), Path("good/a.jpg.png")]
    maps = [found.anomaly_map for found in shown(messy)]
    scale = colour_scale(messy.maps, "inferno")
    for picture, mask, anomaly_map in zip(pictures, messy.masks, maps, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(messy.out / "masks" / picture)), 255 * mask)
        np.testing.assert_array_equal(np.asarray(Image.open(messy.out / "maps" / picture)), scale.paint(anomaly_map))
        assert np.asarray(Image.open(messy.out / "overlays" / picture)).shape == (*mask.shape, 3)
    assert len(files(messy.out / "masks")) == len(MESSY)


def test_a_table_has_a_row_for_each_region_and_none_for_an_image_without(messy: Category) -> None:
    rows = read_table(messy.out / "defects.csv")
    for image_id, mask, found in zip(messy.ids, messy.masks, shown(messy), strict=True):
        regions = find_regions(mask, found.anomaly_map)
        own = [row for row in rows if row["image"] == image_id]
        assert [row["region"] for row in own] == [str(number + 1) for number in range(len(regions))]
        for row, region in zip(own, regions, strict=True):
            figures = [float(row[name]) for name in ("x", "y", "width", "height", "area")]
            assert figures == [*region.box, region.area]
            close = [float(row[name]) for name in ("centroid_x", "centroid_y", "length")]
            assert close == pytest.approx([*region.centroid, region.length], abs=5.1e-3)
            scores = [float(row[name]) for name in ("peak_score", "mean_score")]
            assert scores == pytest.approx([region.peak, region.mean], rel=1e-5)
    images = read_table(messy.out / "images.csv")
    assert [row["image"] for row in images] == messy.ids
    assert [int(row["area"]) for row in images] == [int(mask.sum()) for mask in messy.masks]
    assert {row["defective"] for row in images} == {"1"}


def test_no_cell_is_a_formula(messy: Category) -> None:
    with open(messy.out / "images.csv", encoding="utf-8", newline="") as stream:
        cells = [row[0] for row in csv.reader(stream)]
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r\n"]


@pytest.mark.parametrize("name", ["coco.json", "coco_polygons.json"])
def test_coco_reads_the_masks_to_the_pixel(name: str, messy: Category, capsys: pytest.CaptureFixture[str]) -> None:
    read = COCO(messy.out / name)
    assert [image["file_name"] for image in read.loadImgs(sorted(read.getImgIds()))] == messy.ids
    assert read.loadCats(read.getCatIds())[0]["name"] == "defect"
    for number, (mask, found) in enumerate(zip(messy.masks, shown(messy), strict=True), start=1):
        annotations = read.loadAnns(read.getAnnIds(imgIds=[number], iscrowd=False))
        drawn = sum((read.annToMask(annotation) for annotation in annotations), np.zeros(mask.shape, np.uint8))
        np.testing.assert_array_equal(drawn, mask)
        for annotation, region in zip(annotations, find_regions(mask, found.anomaly_map), strict=True):
            assert annotation["bbox"] == list(region.box)
            assert (annotation["area"], annotation["score"]) == (region.area, region.peak)


def centres_inside(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """bool ``[height, width]``: the pixels whose centres a polygon ``[corner, (x, y)]`` goes around; a plain reader."""
    ys, xs = np.mgrid[:height, :width] + 0.5
    inside = np.zeros((height, width), bool)
    for (x, y), (to_x, to_y) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y != to_y:
            crosses = (y > ys) != (to_y > ys)
            inside ^= crosses & (xs < (to_x - x) * (ys - y) / (to_y - y) + x)
    return inside


def test_labelme_finds_photographs_and_polygons(messy: Category) -> None:
    """By the keys that LabelMe's own loader asks for, and the types that it demands."""
    names = Names()
    for image_id, mask in zip(messy.ids, messy.masks, strict=True):
        path = with_ending(messy.out / "labelme", names.of(image_id), ".json")
        document = json.loads(path.read_text(encoding="utf-8"))
        assert set(document) == {*("version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth")}
        assert document["imageData"] is None
        assert (document["imageHeight"], document["imageWidth"]) == mask.shape
        assert (path.parent / document["imagePath"]).samefile(messy.folder.parents[2] / "photographs" / image_id)
        assert document["flags"] == {"defective": True}
        drawn = np.zeros(mask.shape, bool)
        for number, shape in enumerate(document["shapes"], start=1):
            assert (shape["label"], shape["shape_type"], shape["group_id"]) == ("defect", "polygon", number)
            assert shape["flags"] == {}
            assert shape["mask"] is None
            assert isinstance(shape["description"], str)
            assert all(isinstance(point, list) and len(point) == 2 for point in shape["points"])
            drawn |= centres_inside(np.array(shape["points"], float), *mask.shape)
        np.testing.assert_array_equal(drawn, mask)


def test_yolo_finds_labels_for_its_images_and_the_masks_in_them(messy: Category) -> None:
    root = messy.out / "yolo"
    data = yaml.safe_load((root / "data.yaml").read_text())
    assert data["names"] == {0: "defect"}
    links = [path for path in (root / data["train"]).rglob("*") if not path.is_dir()]
    assert len(links) == len(MESSY)
    for link in links:
        image_id = link.resolve().relative_to(messy.folder.parents[2] / "photographs").as_posix()
        mask = messy.masks[messy.ids.index(image_id)]
        # As the program derives it: the last folder `images`, and the ending.
        before, _, after = str(link).rpartition("/images/")
        label = Path(f"{before}/labels/{after.removesuffix(link.suffix) if link.suffix else after}.txt")
        drawn = np.zeros(mask.shape, bool)
        for line in label.read_text().splitlines():
            kind, *shares = line.split()
            points = np.array(shares, float).reshape(-1, 2)
            assert kind == "0"
            assert points.min() >= 0
            assert points.max() <= 1
            drawn |= centres_inside(points * mask.shape[::-1], *mask.shape)
        np.testing.assert_array_equal(drawn, mask)
        assert (label.read_text() == "") == (not mask.any())


def test_what_stands_out_in_the_map_stands_in_for_masks(tmp_path: Path) -> None:
    made = category(tmp_path, ["a.png", "b.png"], thresholds=(0.95, 0.7))
    made.export(["masks", "csv"], plain=True)
    for name, grid in zip(("a.png", "b.png"), made.maps, strict=True):
        expected = standing_out(grid, Thresholds(np.float32(0.7), np.float32(0.95)), 41, 57) > np.float32(0.7)
        np.testing.assert_array_equal(np.asarray(Image.open(made.out / "masks" / name)) > 0, expected)
        assert not (expected & (at_image_size(grid, 41, 57) < 0.69)).any()
    assert {float(row["peak_score"]) > 0.95 for row in read_table(made.out / "defects.csv")} == {True}


def test_the_table_of_images_says_by_which_numbers_each_is_decided(tmp_path: Path) -> None:
    """A row can be recomputed from itself: what is compared stands in it with all digits that count."""
    peaks = category(tmp_path / "peaks", ["a.png", "b.png", "c.png"]).maps
    limits = [float(each.max()) for each in peaks]  # which the first does not exceed, and the others do by the least
    limits[1:] = [float(np.nextafter(np.float32(limit), np.float32(0))) for limit in limits[1:]]
    for measure, other in (("p_value", "false_alarms"), ("false_alarms", "p_value")):
        made = Category(tmp_path / "peaks/results/parts/tiles")
        write_decisions(
            made.decisions, made.scores, limits, 0.25, significance=[0.5, 0.25, np.nan], measure=measure, nominal=0.1
        )
        made.export(["csv", "coco"], plain=True)
        rows = read_table(made.out / "images.csv")
        assert [row["defective"] for row in rows] == ["0", "1", "1"]
        for row, limit, anomaly_map in zip(rows, limits, peaks, strict=True):
            numbers = [np.float32(row[name]) for name in ("peak", "region_threshold", "pixel_threshold")]
            assert numbers == [anomaly_map.max(), np.float32(limit), np.float32(0.25)]
            assert (row["regions"] != "0") == (row["defective"] == "1") == (numbers[0] > numbers[1])
        assert [row[measure] for row in rows] == ["0.5", "0.25", ""]
        assert {row[other] for row in rows} == {""}
        images = json.loads((made.out / "coco.json").read_text())["images"]
        assert [image["peak"] for image in images] == [float(each.max()) for each in peaks]
        assert read_json(made.out / "export.json")["decision"] == {
            "called": 2,
            "measure": measure,
            "nominal": 0.1,
            "remarks": [],
            "rule": "fixed",
        }


def test_decisions_of_other_images_or_scores_are_one_sentence(tmp_path: Path) -> None:
    made, others = category(tmp_path / "a", ["a.png"]), category(tmp_path / "b", ["b.png"])
    again = category(tmp_path / "c", ["a.png"])
    for decisions, said in (
        (others.decisions, "do not contain the same images in the same order"),
        (again.decisions, "was made from other scores"),
    ):
        made.decisions.write_bytes(decisions.read_bytes())
        with pytest.raises(DataError, match=said):
            made.export()
        assert not made.out.exists()


def test_a_method_that_scores_images_alone_has_lists_of_images_and_no_pictures(tmp_path: Path) -> None:
    made = category(tmp_path, ["a.png", "b.png"], localises=False, thresholds=(0.0, 0.0))
    made.export()
    assert files(made.out) == {"defects.csv", "images.csv", "coco.json", "coco_polygons.json", "export.json"}
    assert read_table(made.out / "defects.csv") == []
    rows = read_table(made.out / "images.csv")
    assert [(row["image"], row["defective"], row["regions"]) for row in rows] == [
        ("a.png", "1", ""),
        ("b.png", "1", ""),
    ]
    document = json.loads((made.out / "coco.json").read_text())
    assert [image["defective"] for image in document["images"]] == [True, True]
    assert document["annotations"] == []
    assert read_json(made.out / "export.json")["localises"] is False


@pytest.mark.parametrize(
    ("thresholds", "regions", "defective"),
    [((np.inf, np.inf), "0", "0"), ((np.inf, 0.0), "0", "0"), ((2.0, 2.0), "0", "0"), ((-1.0, -1.0), "1", "1")],
)
def test_thresholds_that_mark_nothing_or_all(
    thresholds: tuple[float, float], regions: str, defective: str, tmp_path: Path
) -> None:
    made = category(tmp_path, ["a.png"], thresholds=thresholds)
    made.export(["csv", "masks"], plain=True)
    (row,) = read_table(made.out / "images.csv")
    assert (row["regions"], row["defective"]) == (regions, defective)
    assert len(read_table(made.out / "defects.csv")) == int(regions)


def test_deep_grey_and_turned_photographs_are_drawn_as_they_are_read(tmp_path: Path) -> None:
    """Nothing stands out in them, so that nothing is drawn on them."""
    made = category(tmp_path, ["deep.tif", "turned.jpg"], size=(40, 30), noise=0.0)
    paths = [tmp_path / "photographs" / name for name in made.ids]
    tifffile.imwrite(paths[0], (np.arange(1200).reshape(40, 30) * 3).astype(np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(RANDOM.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    stored.save(paths[1], exif=exif, quality=95)
    records = [
        ListedImage(path.name, str(path), "test", 40, 30, file_sha256(path), white)
        for path, white in zip(paths, (4095, None), strict=True)
    ]
    write_images(made.folder / "images.csv", records)
    made.export(["overlays"], plain=True)
    for record, name in zip(records, ("deep.png", "turned.png"), strict=True):
        picture = np.asarray(Image.open(made.out / "overlays" / name))
        np.testing.assert_array_equal(picture, read_image(record.path, record.sha256, record.white))


def test_an_overlay_leaves_a_photograph_as_it_is_where_nothing_was_found(tmp_path: Path) -> None:
    photograph = RANDOM.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    anomaly_map = np.zeros((30, 40), np.float32)
    anomaly_map[10:20, 10:20] = 1
    mask = anomaly_map > 0.5
    image = ExportedImage(
        "a.png", tmp_path / "a.png", 30, 40, 1.0, Decision(True, 1.0), lambda: photograph, mask, anomaly_map
    )
    export = Export(tmp_path, "", colour_scale([anomaly_map], "inferno"))
    with exporting(tmp_path, [FORMATS.build("overlays")], export) as write:
        write(image)
    drawn = np.asarray(Image.open(tmp_path / "overlays/a.png")).astype(int)
    changed = (drawn != photograph).any(axis=2)
    assert changed[12:18, 12:18].all()
    assert not changed[:7].any()
    assert not changed[:, 24:].any()


def test_photographs_in_memory_are_written_beside_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    mask = np.ones((3, 4), bool)
    image = ExportedImage(
        "a.png", "a.png", 3, 4, 1.0, Decision(None, 1.0), lambda: np.zeros((3, 4, 3), np.uint8), mask, mask * 1.0
    )
    with exporting(tmp_path, [FORMATS.build("csv"), FORMATS.build("coco")], Export(tmp_path, "x")) as write:
        write(image)
        assert files(tmp_path) & {"defects.csv", "coco.json"} == set()
    assert read_table(tmp_path / "defects.csv")[0]["area"] == "12"
    assert read_table(tmp_path / "images.csv")[0]["defective"] == ""
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["a.png", "a.jpg", "a.png.png"], ["a", "a.jpg", "a.png"]),
        (["x/a.jpg", "X/A.bmp"], ["x/a", "X/A.bmp"]),
        (["a.jpg.png", "a.png", "a.jpg"], ["a.jpg", "a", "a.jpg-2"]),
        (["../a.png", "/b/a.png"], ["a", "b/a"]),
        (["masks.JSON/a.png"], ["masks.JSON_/a"]),
    ],
)
def test_names_are_different_and_stay_inside(ids: list[str], names: list[str]) -> None:
    given = Names()
    assert [str(given.of(image_id)) for image_id in ids] == names
    assert [str(given.of(image_id)) for image_id in ids] == names


def test_a_name_as_long_as_a_disk_allows_leaves_room_for_an_ending() -> None:
    given = Names()
    long = [given.of(f"{'ä' * 120}{number}.jpg") for number in range(3)]
    assert len(set(long)) == 3
    assert max(len(os.fsencode(with_ending(Path(), name, ".json").name)) for name in long) <= 255
    assert isinstance(long[0], PurePosixPath)


def test_a_failure_leaves_the_export_that_was_there(tmp_path: Path) -> None:
    made = category(tmp_path, ["a.png", "b.png"])
    before = files(made.export(["masks"]))
    (tmp_path / "photographs/b.png").unlink()
    with pytest.raises(DataError, match=r"b\.png"):
        made.export(["masks", "overlays"])
    assert files(made.out) == before
    assert [path.name for path in made.out.parent.iterdir()] == ["bank"]


def test_a_killed_process_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from zsad.exporting.folders import whole_folder\n"
        "with whole_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'a.png').write_bytes(b'x'); os._exit(9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    killed = subprocess.run([sys.executable, "-c", script, tmp_path / "bank"], env=environment, check=False)
    assert killed.returncode == 9
    assert not (tmp_path / "bank").exists()
    assert len(list(tmp_path.iterdir())) == 1
    with whole_folder(tmp_path / "bank") as folder:
        (folder / "b.png").write_bytes(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]
    assert files(tmp_path / "bank") == {"b.png"}


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    other = tmp_path / f".bank.{os.getppid()}.tmp"
    other.mkdir()
    with whole_folder(tmp_path / "bank"):
        assert other.is_dir()


def test_masks_of_other_images_are_one_sentence(tmp_path: Path) -> None:
    made = category(tmp_path, ["a.png", "b.png"])
    with MaskWriter(made.mask_file, ["a.png"], {}) as writer:
        writer.append(made.masks[0], 1.0, [])
    with pytest.raises(DataError, match=r"has no mask of 'b\.png'"):
        made.export()
    with MaskWriter(made.mask_file, ["a.png", "b.png"], {}) as writer:
        for _ in range(2):
            writer.append(np.ones((2, 2), bool), 1.0, [])
    with pytest.raises(DataError, match=r"the mask of 'a\.png' has 2 x 2 pixels, but the image has 57 x 41"):
        made.export()


def test_coco_reads_results_of_a_detector(messy: Category, capsys: pytest.CaptureFixture[str]) -> None:
    """The annotations serve as results, too, by their scores."""
    read = COCO(messy.out / "coco.json")
    results = read.loadRes(json.loads((messy.out / "coco.json").read_text())["annotations"])
    assert len(results.anns) == len(read.anns) > 0


def test_the_command_exports_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = category(tmp_path, ["a.png"])
    assert main(["export", str(made.scores), "--formats", "masks", "--out", str(tmp_path / "out")]) == 0
    assert files(tmp_path / "out") == {"masks/a.png", "export.json"}
    monkeypatch.chdir(tmp_path)
    for place in (made.scores, made.folder, made.folder.parent, made.folder.parent.parent):
        assert main(["export", str(place), "--formats", "csv"]) == 0
        assert files(tmp_path / "exports") == {
            f"parts/tiles/bank/{name}" for name in ("defects.csv", "images.csv", "export.json")
        }
    assert main(["export", str(made.folder.parent), "--out", str(tmp_path / "all"), "--formats", "csv"]) == 0
    assert (tmp_path / "all/parts/tiles/bank/defects.csv").is_file()
    assert "masks by guided" in capsys.readouterr().out
    assert main(["export", str(made.scores), "--refiner", "none", "--formats", "csv"]) == 0
    assert "(thresholded maps)" in capsys.readouterr().out


def test_the_command_finds_photographs_beside_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = category(tmp_path, ["a.png"])
    path = tmp_path / "photographs/a.png"
    record = ListedImage("a.png", "photographs/a.png", "test", 41, 57, file_sha256(path))
    write_images(made.folder / "images.csv", [record])
    monkeypatch.chdir("/")
    assert main(["export", str(made.scores), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/yolo/images/a.png").samefile(path)


def refusals(made: Category, tmp_path: Path) -> dict[str, tuple[list[str], str]]:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    scores = str(made.scores)
    return {
        "nowhere": ([str(tmp_path / "no")], "no does not exist; give results/"),
        "no scores": ([str(tmp_path / "mine")], "contains no scores"),
        "no score file": ([str(made.mask_file)], "is not in the folder of the scores of a run"),
        "no masks": (
            [scores, "--refiner", "sam"],
            "has no masks by 'sam'; run `snakemake masks`, or choose from: guided",
        ),
        "no format": ([scores, "--formats", "mask"], "there is no export format 'mask'; did you mean 'masks'?"),
        "no colours": ([scores, "--colormap", "infern"], "did you mean 'inferno'?"),
        "others' folder": ([scores, "--out", str(tmp_path / "mine")], "contains other files than an export"),
        "others' file": ([scores, "--out", str(tmp_path / "file")], "is a file, but the export needs a folder"),
    }


def test_what_the_command_cannot_find_or_would_lose_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = category(tmp_path, ["a.png"])
    for name, (arguments, said) in refusals(made, tmp_path).items():
        assert main(["export", *arguments]) == 1, name
        shown = capsys.readouterr().err
        assert said in shown, name
        assert shown.count("\n") == 1, shown
    assert not Path("exports").exists()
    kept = made.decisions.rename(tmp_path / "kept.h5")
    assert main(["export", str(made.scores), "--formats", "csv"]) == 1
    assert f"has no decisions ({made.decisions} is missing); run `snakemake decisions`" in capsys.readouterr().err
    kept.rename(made.decisions)
    (tmp_path / "photographs/a.png").unlink()
    assert main(["export", str(made.scores)]) == 1
    assert "a.png is missing; run the command in the folder of the workflow, or leave" in capsys.readouterr().err
    assert main(["export", str(made.scores), "--formats", "csv", "masks"]) == 0


def test_what_somebody_corrected_added_or_took_away_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = category(tmp_path, ["a.png", "b.png"])
    out = tmp_path / "out"
    again = ["export", str(made.scores), "--formats", "labelme", "--out", str(out)]
    assert main(again) == 0
    assert main(again) == 0
    (out / "labelme/c.json").write_text("{}")
    os.utime(out / "labelme/c.json", (0, 0))
    assert main(again) == 1
    assert f"files in {out} were added or removed after the export" in capsys.readouterr().err
    (out / "labelme/c.json").replace(out / "labelme/a.json")
    (out / "labelme/a.json").write_text("{}")
    assert main(again) == 1
    assert f"{out / 'labelme/a.json'} was changed after the export" in capsys.readouterr().err
    assert (out / "labelme/a.json").read_text() == "{}"


def test_what_the_workflow_made_is_left_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = category(tmp_path, ["a.png"])
    made.export(["csv"])
    (made.out / ".snakemake_timestamp").touch()
    assert main(["export", str(made.scores), "--out", str(made.out)]) == 1
    assert "belongs to the workflow" in capsys.readouterr().err


def settings(folder: Path, **exports: Any) -> Any:
    path = folder / "more.yaml"
    methods = {"memory_bank": {"scorer": "memory_bank", "params": {"shots": 2}, "seeds": [0, 1]}}
    path.write_text(yaml.safe_dump({"exports": exports, "methods": methods}))
    return load(path).exports


def test_a_configuration_says_what_is_exported(tmp_path: Path) -> None:
    assert settings(tmp_path).formats == tuple(FORMATS.names())
    assert settings(tmp_path).refiner == "guided"
    assert {"mutual", "self_similarity"} < set(settings(tmp_path).methods)
    chosen = settings(tmp_path, methods=["memory_bank"], refiner="none", formats=["coco"])
    assert len(chosen.methods) == 2
    assert all(name.startswith("memory_bank") for name in chosen.methods)
    assert (chosen.refiner, chosen.formats) == ("none", ("coco",))


@pytest.mark.parametrize(
    ("exports", "said"),
    [
        ({"methods": ["mutal"]}, "exports.methods: 'mutal' is not among the methods; did you mean 'mutual'"),
        ({"refiner": "gided"}, "exports.refiner 'gided' is not among the refiners; did you mean 'guided'"),
        ({"formats": ["png"]}, "there is no export format 'png'"),
        ({"methods": []}, "exports: methods = [] is not valid"),
        ({"formats": []}, "exports: formats = [] is not valid: it must not be empty"),
        ({"format": ["csv"]}, "formats"),
    ],
)
def test_a_wrong_section_is_one_sentence(exports: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        settings(tmp_path, **exports)
    assert said in str(refused.value)
