"""The stage that trains a method on an auxiliary data set, and the file that it writes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_files import write_features
from learning_toys import (
    BACKBONE,
    CHANNELS,
    GRID,
    DirectionByReferences,
    category_files,
    digest,
    planted,
    toys,
)
from toy_trained import NO_MASKS, Direction
from zsad.errors import DamagedFileError, DataError
from zsad.files.learned import read_learned
from zsad.scoring.compute import Compute
from zsad.scoring.train_method import TrainingFiles, train_method, training_files
from zsad.scoring.trained import TrainedScorer

pytestmark = pytest.mark.usefixtures("toys")
__all__ = ["toys"]


def train(folder: Path, *categories: TrainingFiles, scorer: TrainedScorer | None = None, name: str = "w") -> Path:
    output = folder / f"{name}.safetensors"
    train_method(
        categories=categories, scorer=scorer or Direction(), compute=Compute(), output=output, trained_on="other"
    )
    return output


def test_it_learns_what_separates_anomalous_patches_from_normal_ones(tmp_path: Path) -> None:
    files = [category_files(tmp_path, name, [0, 1, 1, 0], seed=seed) for seed, name in enumerate(["ring", "nut"])]
    way = read_learned(train(tmp_path, *files)).tensors["way"]
    tokens = [planted(seed, [0, 1, 1, 0])[0] for seed in (0, 1)]
    marked = np.stack([image[0, :2, :2] for images in tokens for image in images[1:3]])
    rest = [image[0] for images in tokens for image in (images[0], images[3])]
    rest_of_marked = [
        image[0][[0, 1, 2, 2, 2, 2, 0, 1], [2, 2, 0, 1, 2, 3, 3, 3]] for images in tokens for image in images[1:3]
    ]
    normal = np.concatenate([each.reshape(-1, CHANNELS) for each in (*rest, *rest_of_marked)])
    np.testing.assert_allclose(way, marked.reshape(-1, CHANNELS).mean(axis=0) - normal.mean(axis=0), atol=2e-3)
    assert way[0] > 0.9


def test_the_file_says_what_was_learned_from_what(tmp_path: Path) -> None:
    files = [
        category_files(tmp_path, "ring", [0, 1], references=3),
        category_files(tmp_path, "nut", [1, 0], references=2),
    ]
    facts = read_learned(train(tmp_path, *files, scorer=DirectionByReferences(seed=7, length=2.0))).facts
    names = [("ring", f"test/{index}.png") for index in range(2)] + [("nut", f"test/{index}.png") for index in range(2)]
    names += [("ring", f"train/{index}.png") for index in range(3)] + [
        ("nut", f"train/{index}.png") for index in range(2)
    ]
    assert facts["images_sha256"] == sorted(digest(*name) for name in names)
    assert facts["method"] == "direction_by_references"
    assert facts["params"] == {"shots": 0, "seed": 7, "length": 2.0}
    assert (facts["trained_on"], facts["categories"]) == ("other", ["ring", "nut"])
    assert facts["features"] == {
        "layers": ["last"],
        "channels": CHANNELS,
        "cls_source": "mean of patch tokens",
        **BACKBONE,
    }
    assert facts["grids"] == [list(GRID)]
    assert (facts["seed"], facts["steps"], facts["parameters"]) == (7, 3, CHANNELS)
    assert (facts["notes"], facts["of_its_own"]) == ([], 1)
    assert set(facts) == {
        *("method", "params", "trained_on", "categories", "images_sha256", "features", "grids", "seed", "steps"),
        *("parameters", "notes", "zsad", "of_its_own"),
    }


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    files = category_files(tmp_path, "ring", [0, 1])
    first, second = (train(tmp_path, files, name=name).read_bytes() for name in "ab")
    assert first == second
    assert train(tmp_path, files, scorer=Direction(seed=1)).read_bytes() != first


def test_what_could_not_be_learned_is_noted_in_the_file_and_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = category_files(tmp_path, "ring", [0, 1], masks=False)
    with caplog.at_level(logging.INFO):
        facts = read_learned(train(tmp_path, files)).facts
    assert facts["notes"] == [NO_MASKS]
    assert NO_MASKS in caplog.messages
    assert "training on 2 images of 1 categories of other" in caplog.messages


@pytest.mark.parametrize(("labels", "kind"), [([0, 0], "anomalous"), ([1, 1], "normal")])
def test_one_kind_of_images_alone_is_refused(tmp_path: Path, labels: list[int], kind: str) -> None:
    files = [category_files(tmp_path, name, labels) for name in ("ring", "nut")]
    with pytest.raises(DataError, match=rf"'other' has no {kind} test image, .*; add categories that have some"):
        train(tmp_path, *files)
    assert not (tmp_path / "w.safetensors").exists()


def test_either_kind_may_lie_in_another_category(tmp_path: Path) -> None:
    assert train(tmp_path, category_files(tmp_path, "ring", [0]), category_files(tmp_path, "nut", [1])).is_file()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"backbone": {"resolution": 32}}, "resolution: 64 and 32"),
        ({"model": {"id": "cnn"}}, "model: toy and cnn"),
        ({"layer": "first"}, "layers: last and first"),
    ],
)
def test_features_of_different_backbones_are_refused(tmp_path: Path, other: dict[str, Any], told: str) -> None:
    files = [category_files(tmp_path, "ring", [0, 1]), category_files(tmp_path, "nut", [0, 1], **other)]
    with pytest.raises(DataError) as caught:
        train(tmp_path, *files)
    first, second = (each.features["images"] for each in files)
    assert str(caught.value) == (
        f"{first} and {second} come from different backbones ({told}); delete both and run again"
    )
    assert not (tmp_path / "w.safetensors").exists()


def test_references_of_another_backbone_are_refused(tmp_path: Path) -> None:
    files = category_files(tmp_path, "ring", [0, 1], references=2)
    ids = ["train/0.png", "train/1.png"]
    write_features(files.features["references"], planted(1, [0, 0])[0], ids, names=["first"], **BACKBONE)
    with pytest.raises(DataError, match=r"different backbones \(layers: last and first\)"):
        train(tmp_path, files, scorer=DirectionByReferences())


def test_an_image_without_a_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test/2\.png has no label in"):
        train(tmp_path, category_files(tmp_path, "ring", [0, 1, None]))


def test_an_image_that_the_manifest_lacks_is_refused(tmp_path: Path) -> None:
    files = category_files(tmp_path, "ring", [0, 1], references=1)
    write_features(files.features["references"], planted(1, [0])[0], ["train/9.png"], names=["last"], **BACKBONE)
    with pytest.raises(DataError, match=r"manifest\.csv does not list train/9\.png; delete both files and run again"):
        train(tmp_path, files, scorer=DirectionByReferences())


def test_damaged_features_are_reported_by_their_path(tmp_path: Path) -> None:
    files = category_files(tmp_path, "ring", [0, 1])
    content = files.features["images"].read_bytes()
    files.features["images"].write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedFileError, match=r"test\.h5 is not a readable HDF5 file"):
        train(tmp_path, files)


def test_inputs_of_a_job_are_distinguished_by_category_and_role() -> None:
    inputs = {"images": ["a.h5", "b.h5"], "references": ["c.h5", "d.h5"], "manifests": ["a.csv", "b.csv"]}
    assert training_files(["ring", "nut"], inputs.items()) == [
        TrainingFiles("ring", Path("a.csv"), {"images": Path("a.h5"), "references": Path("c.h5")}),
        TrainingFiles("nut", Path("b.csv"), {"images": Path("b.h5"), "references": Path("d.h5")}),
    ]


def test_other_roles_than_the_scorer_asks_for_are_a_mistake_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"learns from \['images', 'references'\], but \['images'\] were given"):
        train(tmp_path, category_files(tmp_path, "ring", [0, 1]), scorer=DirectionByReferences())
