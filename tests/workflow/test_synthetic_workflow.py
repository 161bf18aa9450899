"""The real workflow makes images for training and their features, and only what depends on a change again."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import SMALL, Project, merged
from zsad.adaptation.origins import read_origins
from zsad.data.image_list import read_image_list
from zsad.files.features import FeatureReader
from zsad.files.fitted import FittedReader

pytestmark = pytest.mark.slow

SUBSET, OTHER = "synthetic-k2-seed0-n6-cps", "synthetic-k2-seed0-n3-n"
FOLDER = f"t/ring/synthetic/{SUBSET}"
LISTS = {f"{FOLDER}/{name}" for name in ("images.csv", "manifest.csv", "made_from.csv", "sheet.png")}


# A method that scores how far a patch lies from normal ones towards those that were made anomalous.
TOWARDS = '''"""A scorer of a test."""

from typing import ClassVar

import numpy as np

from zsad.data.subsets import FeatureSet, synthetic_subset
from zsad.scoring.base import ImageScore
from zsad.scoring.references import ReferenceScorer


class Towards(ReferenceScorer):
    """A direction."""

    summary: ClassVar[str] = "A direction."
    reference: ClassVar[str] = "Of a test."
    fitted_roles: ClassVar[tuple[str, ...]] = ("references", "synthetic")
    folds: ClassVar[int] = 2
    recipes: tuple[str, ...] = ("cutpaste", "perlin", "scar")

    def feature_sets(self):
        made = FeatureSet(synthetic_subset(self.shots, self.seed, 6, self.recipes))
        return super().feature_sets() | {"synthetic": made}

    def fit(self, references, indices, compute):
        normal = np.mean([references.half_tokens(index)[0].mean(axis=(0, 1)) for index in indices], axis=0)
        allowed = {references.image_ids[index] for index in indices}
        made = references.synthetic
        ways = [np.zeros_like(normal)]
        for index, origins in enumerate(made.marks.made_from):
            if set(origins) <= allowed:
                tokens = made.tokens.half_tokens(index)[0].astype(np.float64)
                shares = made.marks.shares(index, *tokens.shape[:2])
                ways.append((shares[..., None] * (tokens - normal)).sum(axis=(0, 1)) / shares.sum())
        return np.stack([normal, np.mean(ways, axis=0)]).astype(np.float32)

    def score_by(self, model, features, indices, compute):
        for index in indices:
            yield ImageScore(index, (features.half_tokens(index)[0].astype(np.float32) - model[0]) @ model[1])

    def store(self, model, writer):
        writer.write("model", model)

    def restore(self, reader, compute):
        return reader.array("model", np.float32, (2, None))
'''


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

    assert project.run(SMALL, wanted).made == set()
    another = project.run(SMALL, wanted, f"results/{features(OTHER)}")
    assert another.status == 0, another.output
    assert not another.made_by(SUBSET)
    assert features(OTHER) in another.made

    # An image that was removed is noticed when it is read, and all are made anew by the next run.
    project.result(f"{FOLDER}/images/{listed[1]}").unlink()
    project.result(features(SUBSET)).unlink()
    failed = project.run(SMALL, wanted)
    assert failed.status != 0
    assert f"{listed[1]}, which is gone" in failed.output.replace("\n", " ")
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
    edited = project.run(SMALL, wanted)
    assert edited.status == 0, edited.output
    assert edited.made >= LISTS
    assert features(SUBSET) in edited.made
    assert not edited.made_by("training.csv")


def test_a_method_that_learns_from_them_is_run_to_the_page(tmp_path: Path) -> None:
    project = Project.copy_of_repository(tmp_path / "project")
    (project.folder / "zsad/scoring/towards.py").write_text(TOWARDS)
    registry = project.folder / "zsad/scoring/registry.py"
    line = '        "subspace":'
    registry.write_text(
        registry.read_text().replace(line, f'        "towards": "zsad.scoring.towards:Towards",\n{line}')
    )
    config = merged(
        SMALL,
        methods={
            **dict.fromkeys(("mirror_symmetry", "flip_consistency", "mutual", "memory_bank")),
            "towards": {"scorer": "towards", "params": {"shots": 2}},
        },
        refiners=dict.fromkeys(("guided", "grabcut")),
        report__refiner="none",
    )
    run = project.run(config)
    assert run.status == 0, run.output
    assert run.made >= {"t/report.html", "t/ring/models/towards.h5", "t/tables/cost.csv", features(SUBSET), *LISTS}
    assert "make_synthetic" in project.result("t/tables/cost.csv").read_text()
    with FittedReader(project.result("t/ring/models/towards.h5")) as model:
        assert model.array("model", "float32", (2, None))[1].any()
    assert project.run(config).made == set()

    # Another recipe is another subset: what needs the first one stays.
    other = project.run(merged(config, methods__towards__params__recipes=["normal_patch"]))
    assert other.status == 0, other.output
    assert not other.made_by(SUBSET, "/features/embedded/references", "/features/embedded/test", "training.csv")
    assert other.made >= {"t/ring/models/towards.h5", "t/ring/scores/towards.h5"}

    # A mask that was removed is noticed by a fit, and all are made anew by the next run.
    subset = SUBSET.replace("cps", "n")
    mask = project.result(f"t/ring/synthetic/{subset}/masks/0000.normal_patch.png")
    mask.unlink()
    config = merged(
        config, methods__towards__params__recipes=["normal_patch"], methods__towards__image_score={"fraction": 0.2}
    )
    failed = project.run(config)
    assert failed.status != 0
    assert "0000.normal_patch.png, which is gone" in failed.output.replace("\n", " ")
    again = project.run(config)
    assert again.status == 0, again.output
    assert mask.is_file()
