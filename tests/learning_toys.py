"""Scorers of a few lines that learn, for the tests of what lies between learned methods and the workflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from pydantic import Field

from feature_files import write_features
from toy_trained import Direction
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.data.subsets import FeatureSet
from zsad.errors import DataError
from zsad.files.learned import Learned
from zsad.files.training_facts import training_of
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import Compute
from zsad.scoring.labelled import AuxiliaryCategory
from zsad.scoring.references import ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.stored_weights import store_weights, stored_weights
from zsad.scoring.token_source import TokenSource
from zsad.scoring.train_method import TrainingFiles
from zsad.scoring.trained import TrainedScorer

GRID, CHANNELS = (3, 4), 5
BACKBONE = {"model": {"id": "toy"}, "backbone": {"resolution": 64}}


class DirectionByReferences(Direction):
    """The same that asks for normal images beside the labelled ones."""

    def training_sets(self) -> dict[str, FeatureSet]:
        return super().training_sets() | {"references": FeatureSet("train")}


class Drift(ReferenceScorer):
    """Fitted to references: their mean, or with ``learns_elsewhere`` made of another data set's direction."""

    summary: ClassVar[str] = "Learns a mean."
    reference: ClassVar[str] = "Of these tests."
    fitted_roles: ClassVar[tuple[str, ...]] = ("references", "synthetic")
    folds: ClassVar[int] = 2

    steps: int = Field(5, ge=1)
    by_synthetic: bool = False

    def feature_sets(self) -> dict[str, FeatureSet]:
        sets = super().feature_sets()
        return sets | ({"synthetic": FeatureSet(SYNTHETIC)} if self.by_synthetic else {})

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Learned:
        mean = np.mean([references.half_tokens(index)[0].mean(axis=(0, 1)) for index in indices], axis=0)
        facts: dict[str, Any] = {"seed": self.seed, "steps": self.steps, "parameters": CHANNELS}
        if self.by_synthetic:
            made = references.synthetic
            if made is None:
                raise DataError("no synthetic images")
            allowed = {references.image_ids[index] for index in indices}
            facts["made"] = sum(set(origins) <= allowed for origins in made.marks.made_from)
        return Learned({"mean": mean.astype(np.float32)}, facts)

    def score_by(
        self, model: Learned, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        for index in indices:
            tokens = features.half_tokens(index)[0].astype(np.float32)
            yield ImageScore(index, np.linalg.norm(tokens - model.tensors["mean"], axis=-1))

    def store(self, model: Learned, writer: Any) -> None:
        store_weights(writer, model)

    def restore(self, reader: Any, compute: Compute) -> Learned:
        return stored_weights(reader)

    def training(self, model: Learned) -> dict[str, Any]:
        return training_of(model)


class Leaning(Drift, TrainedScorer):
    """Fitted to references, and reads what was learned from another data set."""

    def feature_sets(self) -> dict[str, FeatureSet]:
        return ReferenceScorer.feature_sets(self)

    @property
    def setting(self) -> str:
        return "few-shot-2+auxiliary(other)"

    def train(self, categories: Sequence[AuxiliaryCategory], compute: Compute) -> Learned:
        return Direction.train(Direction(seed=self.seed), categories, compute)

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Learned:
        learned = self.learned_for(references)
        mean = super().fit(references, indices, compute).tensors["mean"]
        return Learned({"mean": mean, "way": learned.tensors["way"]}, {**learned.facts})


SYNTHETIC = "synthetic-k4-seed0-n4-c"
TOYS = {
    "direction": "toy_trained:Direction",
    "direction_by_references": "learning_toys:DirectionByReferences",
    "drift": "learning_toys:Drift",
    "leaning": "learning_toys:Leaning",
}


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scorers above, by name among all others."""
    for name, place in TOYS.items():
        monkeypatch.setitem(SCORERS._entries, name, place)


def planted(seed: int, labels: Sequence[int]) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
    """Tokens ``[layer, row, column, channel]`` of images, and masks at twice the size of their grid.

    Of an anomalous image the upper left patches are one longer in the first channel.
    """
    rng = np.random.default_rng(seed)
    tokens, masks = [], []
    for label in labels:
        image = 0.1 * rng.normal(size=(1, *GRID, CHANNELS))
        mask = None
        if label:
            image[0, :2, :2, 0] += 1
            mask = np.zeros((2 * GRID[0], 2 * GRID[1]), bool)
            mask[:4, :4] = True
        tokens.append(image)
        masks.append(mask)
    return tokens, masks


def category_files(
    folder: Path,
    name: str,
    labels: Sequence[int | None],
    *,
    seed: int = 0,
    masks: bool = True,
    references: int = 0,
    layer: str = "last",
    **provenance: Any,
) -> TrainingFiles:
    """The files of a category of planted images, of which some may have no label; the references are normal."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    tokens, outlines = planted(seed, [label or 0 for label in labels])
    records = []
    for index, (label, outline) in enumerate(zip(labels, outlines, strict=True)):
        image_id, mask_path = f"test/{index}.png", ""
        if outline is not None and masks:
            mask_path = str(place / f"mask{index}.png")
            cv2.imwrite(mask_path, 255 * outline.astype(np.uint8))
        records.append(_record(name, image_id, "test", label, mask_path))
    features = {"images": place / "test.h5"}
    known = {**BACKBONE, **provenance}
    write_features(features["images"], tokens, [record.image_id for record in records], names=[layer], **known)
    if references:
        normal = [f"train/{index}.png" for index in range(references)]
        features["references"] = place / "train.h5"
        write_features(features["references"], planted(seed + 1, [0] * references)[0], normal, names=[layer], **known)
        records += [_record(name, image_id, "train", 0, "") for image_id in normal]
    write_manifest(place / "manifest.csv", records)
    return TrainingFiles(name, place / "manifest.csv", features)


def _record(category: str, image_id: str, split: Any, label: int | None, mask_path: str) -> ImageRecord:
    kind = {None: "", 0: "good", 1: "spot"}[label]
    return ImageRecord(
        image_id,
        f"/{category}/{image_id}",
        split,
        label,
        kind,
        mask_path,
        2 * GRID[0],
        2 * GRID[1],
        digest(category, image_id),
    )


def digest(category: str, image_id: str) -> str:
    """The SHA-256 that manifests have of an image that is not there."""
    import hashlib

    return hashlib.sha256(f"{category}/{image_id}".encode()).hexdigest()
