"""Exports of methods that score an image as a whole beside its map, and that were asked in words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from decision_files import write_decisions
from texts_asked import LEARNED, asked
from zsad.data.image_list import ListedImage, write_images
from zsad.exporting.export_results import export_results
from zsad.files.csv_files import read_table
from zsad.files.json_files import read_json
from zsad.files.provenance import file_sha256
from zsad.files.scores import ScoreWriter

SIZE = (40, 56)
IDS = ["test/a.png", "test/b.png", "test/c.png"]
OWN = [0.9, 0.2, 0.5]  # against the order of the maps' highest values
PEAKS = [0.3, 0.8, 0.1]
THRESHOLD = 0.5
SAID = {"texts": asked("lid", "tin lid", LEARNED), "learned_files": {"linear_layers": 64 * "7"}}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and COCO of three photographs with a map of one high patch each."""
    folder = tmp_path_factory.mktemp("texts")
    records, maps = [], []
    for image_id, peak in zip(IDS, PEAKS, strict=True):
        path = folder / image_id
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)
        records.append(ListedImage(image_id, str(path), "test", *SIZE, file_sha256(path)))
        maps.append(np.zeros((5, 7), np.float32))
        maps[-1][2, 3] = peak
    write_images(folder / "images.csv", records)
    grids = np.array([each.shape for each in maps])
    setting = "zero-shot-auxiliary(visa)"
    with ScoreWriter(folder / "scores.h5", IDS, SAID, grid_sizes=grids, setting=setting, localises=True) as writer:
        for index, anomaly_map in enumerate(maps):
            writer.write(index, anomaly_map, OWN[index])
    write_decisions(folder / "decisions.h5", folder / "scores.h5", THRESHOLD, 0.2)
    export_results(
        image_list=folder / "images.csv",
        scores=folder / "scores.h5",
        decisions=folder / "decisions.h5",
        masks=None,
        formats=["csv", "coco", "overlays"],
        colormap="inferno",
        folder=folder / "out",
        title="lid by words",
        provenance={"seed": 0},
    )
    return folder / "out"


def test_the_score_of_the_whole_image_stands_beside_the_peak_that_decides(exported: Path) -> None:
    rows = read_table(exported / "images.csv")
    assert [float(row["score"]) for row in rows] == pytest.approx(OWN)
    assert [float(row["peak"]) for row in rows] == pytest.approx(PEAKS)
    assert [row["defective"] for row in rows] == ["0", "1", "0"]
    (region,) = read_table(exported / "defects.csv")
    assert region["image"] == "test/b.png"
    assert float(region["peak_score"]) == pytest.approx(0.8)


def test_coco_has_both_too(exported: Path) -> None:
    coco = json.loads((exported / "coco.json").read_text())
    assert [image["score"] for image in coco["images"]] == pytest.approx(OWN)
    assert [image["peak"] for image in coco["images"]] == pytest.approx(PEAKS)
    assert [annotation["image_id"] for annotation in coco["annotations"]] == [2]


def test_an_export_says_what_was_asked_and_on_what_others_have_trained(exported: Path) -> None:
    about = read_json(exported / "export.json")
    assert about["setting"] == "zero-shot-auxiliary(visa)"
    assert about["provenance"] == {**SAID, "seed": 0}


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"seed": 0}, {}),
        ({"members": {"words": SAID, "batch": {"seed": 0}}}, {"members": {"words": SAID}}),
        ({"scores": {"members": {"words": SAID}}}, {"members": {"words": SAID}}),
        ({"scores": SAID, "decisions": {}}, SAID),
        ({"training": {"steps": 5}}, {"training": {"steps": 5}}),
        (
            {"members": {"a": {"training": {"steps": 5}}}, "training": {"members": {"a": {"steps": 5}}}},
            {"members": {"a": {"training": {"steps": 5}}}},
        ),
        ({"members": {"batch": {}}}, {}),
    ],
)
def test_scores_that_are_made_of_others_say_what_these_were_asked(scores: dict, said: dict, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / "a.png")
    record = ListedImage("a.png", str(tmp_path / "a.png"), "test", *SIZE, file_sha256(tmp_path / "a.png"))
    write_images(tmp_path / "images.csv", [record])
    grid = np.array([(2, 3)])
    given = {"grid_sizes": grid, "setting": "few-shot-1", "localises": True}
    with ScoreWriter(tmp_path / "scores.h5", ["a.png"], scores, **given) as writer:
        writer.write(0, np.zeros((2, 3), np.float32), 0.0)
    write_decisions(tmp_path / "decisions.h5", tmp_path / "scores.h5", THRESHOLD, 0.2)
    export_results(
        image_list=tmp_path / "images.csv",
        scores=tmp_path / "scores.h5",
        decisions=tmp_path / "decisions.h5",
        masks=None,
        formats=["csv"],
        colormap="inferno",
        folder=tmp_path / "out",
        title="a",
        provenance={},
    )
    assert read_json(tmp_path / "out/export.json")["provenance"] == said
