"""The refinement stage from files to a file."""

import numpy as np
import pytest
from PIL import Image

from zsad.data.manifest import ImageRecord, write_manifest
from zsad.errors import DataError
from zsad.provenance import file_sha256
from zsad.refinement.guided import Guided
from zsad.refinement.stage import refine_masks
from zsad.store import MaskReader, ScoreWriter

SIZES = {"test/bad/a.png": (48, 64), "test/bad/b.png": (80, 40), "test/good/c.png": (32, 32)}
GRID = (8, 8)
THRESHOLD = 0.5


def write_inputs(folder, scored=tuple(SIZES)):
    rng = np.random.default_rng(0)
    records = []
    for image_id, (height, width) in SIZES.items():
        path = folder / image_id.replace("/", "-")
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        records.append(ImageRecord(image_id, str(path), "test", 1, "bad", "", height, width, file_sha256(path)))
    write_manifest(folder / "manifest.csv", records)
    provenance = {"manifest_sha256": "abc", "params": {"k": 3}}
    grid_sizes = np.tile(GRID, (len(scored), 1))
    with ScoreWriter(
        folder / "scores.h5", scored, provenance, grid_sizes=grid_sizes, setting="zero-shot-single"
    ) as writer:
        writer.write_thresholds(THRESHOLD, THRESHOLD)
        for index, image_id in enumerate(scored):
            anomaly_map = np.zeros(GRID, np.float32)
            if "bad" in image_id:
                anomaly_map[2:5, 2:5] = 1 + index
            writer.write(index, anomaly_map, float(anomaly_map.max()))


def refine(folder):
    refine_masks(
        manifest=folder / "manifest.csv",
        scores=folder / "scores.h5",
        refiner=Guided(radius=0.1),
        output=folder / "masks.h5",
        provenance={"rule": "refine_masks"},
    )


def test_every_scored_image_gets_a_mask_of_its_own_size(tmp_path):
    write_inputs(tmp_path)

    refine(tmp_path)

    with MaskReader(tmp_path / "masks.h5") as masks:
        assert masks.image_ids == list(SIZES)
        assert [masks.mask(index).shape for index in range(3)] == list(SIZES.values())
        assert [bool(masks.mask(index).any()) for index in range(3)] == [True, True, False]
        assert masks.mask_scores.tolist() == [1, 2, 0]
        assert [len(masks.regions(index)) for index in range(3)] == [1, 1, 0]
        assert masks.regions(1)[0]["score"] == 2


def test_the_order_is_that_of_the_scores(tmp_path):
    scored = tuple(reversed(SIZES))
    write_inputs(tmp_path, scored)

    refine(tmp_path)

    with MaskReader(tmp_path / "masks.h5") as masks:
        assert masks.image_ids == list(scored)
        assert [tuple(size) for size in masks.sizes] == [SIZES[image_id] for image_id in scored]


def test_provenance_tells_refiner_parameters_threshold_and_origin(tmp_path):
    write_inputs(tmp_path)

    refine(tmp_path)

    with MaskReader(tmp_path / "masks.h5") as masks:
        found = masks.provenance
    assert found["rule"] == "refine_masks"
    assert found["refiner"] == {"class": "Guided", "params": Guided(radius=0.1).parameters()}
    assert found["threshold"] == THRESHOLD
    assert found["manifest_sha256"] == "abc"
    assert found["seconds"] >= 0


def test_a_missing_image_leaves_no_output(tmp_path):
    write_inputs(tmp_path)
    (tmp_path / "test-good-c.png").unlink()

    with pytest.raises(DataError, match=r"c\.png does not exist"):
        refine(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir() if "masks" in path.name) == []


def test_a_changed_image_leaves_no_output(tmp_path):
    write_inputs(tmp_path)
    Image.new("RGB", (40, 80)).save(tmp_path / "test-bad-b.png")

    with pytest.raises(DataError, match="has changed since the manifest was made"):
        refine(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir() if "masks" in path.name) == []


def test_a_scored_image_that_the_manifest_lacks_is_named(tmp_path):
    write_inputs(tmp_path, scored=("test/bad/a.png", "test/bad/gone.png"))

    with pytest.raises(DataError, match=r"'test/bad/gone\.png'; run the scoring again"):
        refine(tmp_path)

    assert not (tmp_path / "masks.h5").exists()
