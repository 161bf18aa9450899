"""A scorer of a few lines that learns from an auxiliary data set, for tests of the workflow, which copy this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.data.subsets import FeatureSet, references
from zsad.files.learned import Learned
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import Compute
from zsad.scoring.labelled import AuxiliaryCategory
from zsad.scoring.token_source import TokenSource
from zsad.scoring.trained import TrainedScorer

NO_MASKS = "no anomalous image has a mask, so that nothing was learned of patches"


class Direction(TrainedScorer):
    """Learns the direction from normal to anomalous patches; a patch scores how far it lies that way."""

    summary: ClassVar[str] = "Learns a direction."
    reference: ClassVar[str] = "Of these tests."
    of_training: ClassVar[tuple[str, ...]] = ("seed", "length")

    shots: int = Field(0, ge=0, description="Normal images of each auxiliary category that it also reads.")
    seed: int = Field(0, ge=0, description="Seed of their draw.")
    length: float = 1.0

    def training_sets(self) -> dict[str, FeatureSet]:
        drawn = {"references": FeatureSet(references(self.shots, self.seed))} if self.shots else {}
        return super().training_sets() | drawn

    def train(self, categories: Sequence[AuxiliaryCategory], compute: Compute) -> Learned:
        channels = categories[0].images.tokens.channels
        sums, counts = np.zeros((2, channels)), np.zeros(2)
        notes = []
        for category in categories:
            images = category.images
            for index in range(len(images.tokens)):
                tokens = images.tokens.half_tokens(index)[0].astype(np.float64)
                shares = images.marks.shares(index, *tokens.shape[:2])
                if shares is None:
                    notes = [NO_MASKS]
                    shares = np.ones(tokens.shape[:2])
                for label, weights in ((0, 1 - shares), (1, shares)):
                    sums[label] += (weights[..., None] * tokens).sum(axis=(0, 1))
                    counts[label] += weights.sum()
        way = self.length * (sums[1] / counts[1] - sums[0] / counts[0])
        rng = np.random.default_rng(self.seed)
        tensors = {"way": (way + 1e-6 * rng.normal(size=channels)).astype(np.float32)}
        return Learned(tensors, {"steps": 3, "parameters": channels, "notes": notes, "of_its_own": 1})

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        test = features["test"]
        way = self.learned_for(test).tensors["way"]
        for index in range(len(test)):
            yield ImageScore(index, test.half_tokens(index)[0].astype(np.float32) @ way)
