"""Base class of mutual scoring: parameters, batches, means of sorted distances, re-scoring of images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from zsad.data.subsets import FeatureSet
from zsad.errors import DataError
from zsad.lazy import torch
from zsad.progress import Meter
from zsad.scoring.base import FEWEST_COMPARED, Needs, Scorer, Shown
from zsad.scoring.cost import SORTED, TokenCount, pair_operations
from zsad.scoring.mutual_distances import Aggregation, Distance, Stage
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, layer_indices

ClassTokens = Literal["unit", "raw"]


class MutualScorer(Scorer):
    """Base class of methods that score the test images of a category against each other."""

    interval: tuple[float, float] = Field(
        (0.0, 0.3),
        description="Which of the sorted distances to the other images are averaged, from and to, as shares of them.",
    )
    neighbourhoods: tuple[int, ...] = Field(
        (1, 3, 5),
        min_length=1,
        description="Sides of the square neighbourhoods, in patches, that features are averaged over; odd.",
    )
    aggregation: Aggregation = Field(
        "unit",
        description="How tokens are averaged over a neighbourhood: unit (directions of tokens) or musc (raw tokens of "
        "a layer-normed map, as in MuSc's code).",
    )
    distance: Distance = Field(
        "euclidean", description="Distance of two unit features; euclidean as published, or cosine (half its square)."
    )
    rescoring: tuple[int, ...] = Field(
        (1, 2, 3),
        description="Numbers of nearest images, by class token, whose scores are averaged; an empty list for none.",
    )
    class_tokens: ClassTokens = Field(
        "unit",
        description="Similarity of images for re-scoring: unit (cosines of class tokens, negative ones as 0) or raw "
        "(their raw products, as in MuSc's code for DINO).",
    )
    batch: int | None = Field(None, ge=2, description="Greatest number of images scored together; null for all.")
    seed: int = Field(0, ge=0, description="Seed of the split into batches.")
    layers: Layers = None

    @field_validator("neighbourhoods")
    @classmethod
    def _odd(cls, sides: tuple[int, ...]) -> tuple[int, ...]:
        if any(side < 1 or side % 2 == 0 for side in sides):
            raise ValueError("each side must be odd and positive, so that a patch is in the middle")
        return sides

    @field_validator("interval")
    @classmethod
    def _ordered(cls, interval: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= interval[0] < interval[1] <= 1:
            raise ValueError("it must be two shares between 0 and 1, the smaller first")
        return interval

    @field_validator("rescoring")
    @classmethod
    def _positive(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if any(number < 1 for number in numbers):
            raise ValueError("each must be at least 1, the image itself")
        return numbers

    @property
    def setting(self) -> str:
        """All unlabelled test images together."""
        return "zero-shot-batch"

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images."""
        return {"test": FeatureSet("test")}

    def needs(self, *, scores_references: bool = False) -> Needs:
        """Two images, to compare them with each other."""
        return Needs(test=FEWEST_COMPARED)

    def refusal(self, images: Mapping[str, Shown], *, scores_references: bool = False) -> str:
        """There is only one image."""
        return super().refusal(images) or _too_few(len(images["test"].image_ids))

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for the pairs of images of a batch at each layer and neighbourhood, and for sorting."""
        test = tokens["test"]
        sides, patches = len(self.neighbourhoods), test.patches
        together = sum(len(batch) * (len(batch) - 1) for batch in self.batches(max(test.images, 2)))  # ordered pairs
        distances = pair_operations(together / 2 * patches**2 * test.layers * sides, test.channels)
        return super().operations(tokens) * sides + distances + SORTED * together * patches * test.layers * sides

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of the distances ``[patch, image]`` of each image of a batch, and of its tokens of one layer."""
        test = tokens["test"]
        together = max(map(len, self.batches(max(test.images, 2))))
        return 4.0 * together * test.patches * (together + test.channels)

    def stages(self, test: TokenSource) -> list[Stage]:
        """Every combination of layer and neighbourhood."""
        pairs = product(layer_indices(test, self.layers), self.neighbourhoods)
        return [Stage(layer, side, self.aggregation) for layer, side in pairs]

    def batches(self, count: int) -> list[list[int]]:
        """The images that are scored together, each batch in order.

        Raises:
            DataError: there is only one image.
        """
        if reason := _too_few(count):
            raise DataError(reason)
        parts = 1 if self.batch is None else min(math.ceil(count / self.batch), count // 2)
        order = np.random.default_rng(self.seed).permutation(count) if parts > 1 else np.arange(count)
        return [sorted(part.tolist()) for part in np.array_split(order, parts)]

    def meter(self, test: TokenSource, stages: int) -> tuple[Meter, list[float]]:
        """A progress meter, and the work of each batch for one layer and neighbourhood, in pairs of patches."""
        patches = test.grid_sizes.prod(axis=1)
        work = [float(patches[images].sum()) ** 2 for images in self.batches(len(test))]
        return Meter("comparing patches", stages * sum(work)), work

    def visible(self, count: int) -> np.ndarray:
        """The images of a batch that each image is compared with, bool ``[image, other image]``, including itself."""
        return np.ones((count, count), dtype=bool)

    def rescored(self, image_scores: np.ndarray, features: Mapping[str, TokenSource]) -> np.ndarray:
        """Average image scores over the nearest images by class token of the last layer, within each batch."""
        test = features["test"]
        cls_tokens = test.cls_tokens()[:, layer_indices(test, self.layers)[-1]]
        rescored = image_scores.copy()
        for images in self.batches(len(test)):
            visible = self.visible(len(images))
            similar = SIMILARITIES[self.class_tokens](cls_tokens[images])
            rescored[images] = rescored_by_neighbours(image_scores[images], similar, self.rescoring, visible)
        return rescored


def adding(meter: Meter, share: float) -> Callable[[float], None]:
    """A function that adds a share of its argument to a meter."""
    return lambda work: meter.add(work * share)


def _too_few(images: int) -> str:
    if images >= FEWEST_COMPARED:
        return ""
    return (
        f"mutual scoring needs at least {FEWEST_COMPARED} test images, but there is {images}; add some or use another "
        "method"
    )


def interval_mean(distances: torch.Tensor, interval: tuple[float, float]) -> torch.Tensor:
    """Mean of each row's sorted values from one share of them to another: ``[row]``, 0 if there are none.

    Args:
        distances: ``[row, other image]``.
    """
    count = distances.shape[1]
    if count == 0:
        return distances.new_zeros(len(distances))
    start = min(int(interval[0] * count), count - 1)
    end = max(start + 1, int(interval[1] * count))
    lowest = distances.topk(end, dim=1, largest=False).values
    return lowest[:, start:].mean(dim=1)


def cosines(cls_tokens: np.ndarray) -> np.ndarray:
    """Cosines of class tokens ``[image, channel]``, in ``[0, 1]``: float64 ``[image, image]``, largest with itself."""
    unit = cls_tokens / np.maximum(np.linalg.norm(cls_tokens, axis=1, keepdims=True), 1e-12)
    similar: np.ndarray = np.clip(unit @ unit.T, 0, None).astype(np.float64)
    np.fill_diagonal(similar, 1)
    return similar


def products(cls_tokens: np.ndarray) -> np.ndarray:
    """The scalar products of class tokens ``[image, channel]``, of any sign: float64 ``[image, image]``."""
    tokens = cls_tokens.astype(np.float64)
    similar: np.ndarray = tokens @ tokens.T
    return similar


SIMILARITIES: dict[ClassTokens, Callable[[np.ndarray], np.ndarray]] = {"unit": cosines, "raw": products}


def rescored_by_neighbours(
    scores: np.ndarray, similar: np.ndarray, numbers: Sequence[int], visible: np.ndarray
) -> np.ndarray:
    """Average scores over the most similar images: MuSc, section 3.3.

    Args:
        scores: float64 ``[image]``.
        similar: float64 ``[image, other image]``, also the weights; an image whose weights add up to 0 keeps its score.
        numbers: numbers of neighbours, including the image itself; the results for each are averaged.
        visible: bool ``[image, other image]``, images that may be used; always including the image itself.
    """
    if not numbers:
        return scores
    nearest = np.argsort(-np.where(visible, similar, -np.inf), axis=1, kind="stable")
    weights_of_all = np.where(visible, similar, 0)
    results = []
    for number in numbers:
        chosen = nearest[:, :number]
        weights = np.take_along_axis(weights_of_all, chosen, axis=1)
        total = weights.sum(axis=1)
        weighed = total != 0
        results.append(np.where(weighed, (weights * scores[chosen]).sum(axis=1) / np.where(weighed, total, 1), scores))
    mean: np.ndarray = np.mean(results, axis=0)
    return mean
