"""A scorer that learns one direction from an auxiliary data set: from its normal to its anomalous images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.data.subsets import FeatureSet, references
from zsad.errors import DataError
from zsad.files.learned import Learned
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import Compute
from zsad.scoring.labelled import AuxiliaryCategory
from zsad.scoring.token_source import TokenSource
from zsad.scoring.trained import IMAGES, TrainedScorer


class Direction(TrainedScorer):
    """Score a patch by how far it lies in the learned direction."""

    summary: ClassVar[str] = "One direction, learned elsewhere."
    reference: ClassVar[str] = "A toy."

    shots: int = Field(0, ge=0, description="Normal images of each auxiliary category that it also reads.")
    seed: int = Field(0, ge=0, description="Seed of their draw.")

    def feature_sets(self) -> dict[str, FeatureSet]:
        return {"test": FeatureSet("test")}

    def training_sets(self) -> dict[str, FeatureSet]:
        drawn = {"references": FeatureSet(references(self.shots, self.seed))} if self.shots else {}
        return {IMAGES: FeatureSet("test"), **drawn}

    def train(self, categories: Sequence[AuxiliaryCategory], compute: Compute) -> Learned:
        sums = {0: 0.0, 1: 0.0}
        for category in categories:
            for index, label in enumerate(category.images.marks.labels):
                sums[label] = sums[label] + category.images.tokens.half_tokens(index)[0].mean(axis=(0, 1))
        if not all(np.any(total) for total in sums.values()):
            raise DataError("an image of either kind is needed; label some")
        return Learned(
            {"direction": np.asarray(sums[1] - sums[0], np.float32)}, {"steps": 1, "parameters": 1, "notes": []}
        )

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        direction = self.learned_for(features["test"]).tensors["direction"]
        for index in range(len(features["test"])):
            yield ImageScore(index, features["test"].half_tokens(index)[0].astype(np.float32) @ direction)
