"""Mutual scoring: a patch is odd if the other test images, unlabelled as they are, have nothing like it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations_with_replacement, product
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from zsad.data.subsets import FeatureSet
from zsad.errors import DataError
from zsad.lazy import torch
from zsad.progress import progress
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.similarity import cosine_distance, euclidean_distance, nearest_cosines_both_ways
from zsad.scoring.tokens import Layers, layer_indices, normalise, unit_tokens
from zsad.store import FeatureReader

BLOCK_BYTES = 256 << 20  # of tokens; two blocks are in memory at a time
DISTANCES = {"euclidean": euclidean_distance, "cosine": cosine_distance}


class Mutual(Scorer):
    """Score the test images of a category against each other.

    For a layer and a neighbourhood of ``r x r`` patches, with ``f_p^i`` the unit feature of patch ``p`` of image ``i``:

    1. local aggregation: ``f`` is the mean over the neighbourhood, normalised again (MuSc pools channels as well:
       it concatenates the neighbours and pools them to the width of a token);
    2. mutual scoring: ``a_p^i(j) = min over patches q of image j of |f_p^i - f_q^j|``, for each other image ``j``;
    3. ``S(p) = mean of the lowest a_p^i(j)``, the lowest ``lowest_fraction`` of the N - 1 other images, rounded down
       as published but at least one (the published formula is undefined for four images and fewer).

    ``S`` is averaged over layers and neighbourhoods. Step 3 rests on defects being rare: enough other images show the
    same thing in good state. MuSc's re-ranking of the image scores by class tokens is left out.

    The tokens are streamed in blocks; the table of ``a``, 4 bytes for each patch and other image, is in memory.
    """

    summary: ClassVar[str] = "A patch against each other test image of the unlabelled batch."
    reference: ClassVar[str] = "MuSc: Li et al., ICLR 2024, sections 3.1 and 3.2."

    lowest_fraction: float = Field(
        0.3, gt=0, le=1, description="Share of the other images, those with the nearest patch, averaged over."
    )
    neighbourhoods: tuple[int, ...] = Field(
        (1, 3, 5),
        min_length=1,
        description="Sides of the square neighbourhoods, in patches, that features are averaged over; odd.",
    )
    distance: Literal["euclidean", "cosine"] = Field(
        "euclidean", description="Distance of two unit features; euclidean as published, or cosine (half its square)."
    )
    layers: Layers = None

    @field_validator("neighbourhoods")
    @classmethod
    def _odd(cls, sides: tuple[int, ...]) -> tuple[int, ...]:
        if any(side < 1 or side % 2 == 0 for side in sides):
            raise ValueError("each side must be odd and positive, so that a patch is in the middle")
        return sides

    @property
    def setting(self) -> str:
        """The unlabelled test images together."""
        return "zero-shot-batch"

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images."""
        return {"test": FeatureSet("test")}

    def score(self, features: Mapping[str, FeatureReader], device: str) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order, once all are compared.

        Raises:
            DataError: there is only one image.
        """
        test = features["test"]
        if len(test) < 2:
            raise DataError(
                "mutual scoring needs at least 2 test images, and there is 1; add some or use another method"
            )
        stages = list(product(layer_indices(test, self.layers), self.neighbourhoods))
        scores = np.zeros(test.grid_sizes.prod(axis=1).sum())
        for layer, side in stages:
            table = self._distance_table(test, layer, side, device)
            scores += self._mean_of_lowest(table) / len(stages)
        for index, image in enumerate(_slices(test)):
            yield ImageScore(index, scores[image].reshape(test.grid_sizes[index]))

    def _distance_table(self, test: FeatureReader, layer: int, side: int, device: str) -> np.ndarray:
        """``a``: float32 ``[image, patch of all images]``, infinite between an image and its own patches."""
        place = _slices(test)
        table = np.full((len(test), place[-1].stop), np.inf, dtype=np.float32)
        distance = DISTANCES[self.distance]
        pairs = _pairs(test, layer, side, device)
        total = len(test) * (len(test) - 1) // 2
        label = f"mutual scoring, layer {test.layers[layer]}, neighbourhood {side}"
        for i, j, tokens_i, tokens_j in progress(pairs, total=total, label=label):
            of_i, of_j = nearest_cosines_both_ways(tokens_i, tokens_j)
            table[j, place[i]] = distance(of_i).cpu().numpy()
            table[i, place[j]] = distance(of_j).cpu().numpy()
        return table

    def _mean_of_lowest(self, table: np.ndarray) -> np.ndarray:
        """``S`` of all patches from the table of ``a``: float64 ``[patch]``."""
        count = max(1, int(self.lowest_fraction * (len(table) - 1)))
        return np.partition(table, count - 1, axis=0)[:count].mean(axis=0, dtype=np.float64)


def _slices(reader: FeatureReader) -> list[slice]:
    """Where each image's patches lie if those of all images are laid end to end."""
    ends = reader.grid_sizes.prod(axis=1).cumsum().tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _pairs(
    reader: FeatureReader, layer: int, side: int, device: str
) -> Iterator[tuple[int, int, torch.Tensor, torch.Tensor]]:
    """Every pair of images ``i < j`` with their tokens ``[patch, channel]``; two blocks are in memory at a time."""
    blocks = _blocks(reader)
    for first, second in combinations_with_replacement(blocks, 2):
        tokens = {index: _aggregated(reader, index, layer, side, device) for index in {*first, *second}}
        for i, j in product(first, second):
            if i < j:
                yield i, j, tokens[i], tokens[j]


def _blocks(reader: FeatureReader) -> list[Sequence[int]]:
    """Consecutive images in blocks of at most `BLOCK_BYTES`, at least one image each."""
    image_bytes = int(reader.grid_sizes.prod(axis=1).max()) * reader.channels * 4
    size = max(1, BLOCK_BYTES // image_bytes)
    return [range(start, min(start + size, len(reader))) for start in range(0, len(reader), size)]


def _aggregated(reader: FeatureReader, index: int, layer: int, side: int, device: str) -> torch.Tensor:
    """Unit tokens averaged over ``side x side`` patches (fewer at the border) and normalised: ``[patch, channel]``."""
    tokens = unit_tokens(reader, index, [layer], device)
    if side > 1:
        # The zeros beyond the border shorten the mean and do not turn it.
        channels_first = tokens.permute(0, 3, 1, 2)
        pooled = torch.nn.functional.avg_pool2d(channels_first, side, stride=1, padding=side // 2)
        tokens = normalise(pooled.permute(0, 2, 3, 1))
    return tokens.flatten(0, 2)
