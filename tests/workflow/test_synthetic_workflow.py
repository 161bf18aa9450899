"""The real workflow makes images for training and their features, and only what depends on a change again."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import SMALL, Project
from zsad.adaptation.origins import read_origins
from zsad.data.image_list import read_image_list
from zsad.files.features import FeatureReader

pytestmark = pytest.mark.slow

SUBSET, OTHER = "synthetic-k2-seed0-n6-cps", "synthetic-k2-seed0-n3-n"
FOLDER = f"t/ring/synthetic/{SUBSET}"
LISTS = {f"{FOLDER}/{name}" for name in ("images.csv", "manifest.csv", "made_from.csv", "sheet.png")}


def features(subset: str) -> str:
    return f"t/ring/features/embedded/{subset}.original.h5"


def test_images_and_features_are_made_and_made_again_only_where_something_changed(tmp_path: Path) -> None:
    project = Project.copy_of_repository(tmp_path / "project")
    wanted = f"results/{features(SUBSET)}"
    first = project.run(SMALL, wanted)
    assert first.status == 0, first.output
    assert first.made_by(f"{FOLDER}/") >= LISTS
    assert len(first.made_by(f"{FOLDER}/images/")) == len(first.made_by(f"{FOLDER}/masks/")) == 6
    listed = [image.image_id for image in read_image_list(project.result(f"{FOLDER}/images.csv"))]
    with FeatureReader(project.result(features(SUBSET))) as reader:
        assert reader.image_ids == listed
    assert read_origins(project.result(f"{FOLDER}/made_from.csv")).keys() == set(listed)

    another = project.run(SMALL, wanted, f"results/{features(OTHER)}")
    assert another.status == 0, another.output
    assert not another.made_by(SUBSET)
    assert features(OTHER) in another.made

    # An image that was removed is noticed when it is read, and all are made anew by the next run.
    project.result(f"{FOLDER}/images/{listed[1]}").unlink()
    project.result(features(SUBSET)).unlink()
    failed = project.run(SMALL, wanted)
    assert failed.status != 0
    assert f"{listed[1]}, which is missing" in failed.output.replace("\n", " ")
    again = project.run(SMALL, wanted)
    assert again.status == 0, again.output
    assert {f"{FOLDER}/images/{listed[1]}", features(SUBSET)} <= again.made

    # Tables that were changed by hand are put aside.
    for name, column in (("made_from.csv", "train"), ("images.csv", "test")):
        table = project.result(f"{FOLDER}/{name}")
        table.write_text(table.read_text().replace(column, "other"))
    mended = project.run(SMALL, wanted, f"results/{FOLDER}/images.csv")
    assert mended.status == 0, mended.output
    assert mended.made >= {f"{FOLDER}/made_from.changed.csv", f"{FOLDER}/images.changed.csv", *LISTS}

    # A recipe that is edited makes the images anew.
    recipe = project.folder / "zsad/adaptation/scar.py"
    recipe.write_text(recipe.read_text().replace("JITTER = 0.1", "JITTER = 0.2"))
    anew = project.would_make(SMALL, wanted)
    assert {*LISTS, features(SUBSET)} <= anew
    assert "t/ring/training.csv" not in anew
