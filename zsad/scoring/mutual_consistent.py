"""Mutual scoring for batches in which a defect repeats: copies of a defect are not counted as normal neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import IO, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field

from zsad.lazy import torch
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import Compute
from zsad.scoring.consistency import mean_of_the_rest, suspicious_links
from zsad.scoring.mutual_base import MutualScorer, adding, interval_mean
from zsad.scoring.mutual_distances import Stage, distance_rows
from zsad.scoring.token_source import TokenSource

SHARED_PATTERN = "shares a repeated pattern with other images"
LEAST_DISTANCE = 0.01  # euclidean, of unit vectors; features rounded to 16 bits differ by less where they are equal
LEAST_LINKS = 1  # in each direction, on average over layers and neighbourhoods, for two images to be a pair
ASIDE_SHARE = 0.25  # of the memory, for stored rows


class MutualConsistent(MutualScorer):
    """Mutual scoring that leaves out of a patch's neighbours those that repeat its anomaly.

    `Mutual` scores a patch by its nearest other images, so that a defect which looks the same in many images appears
    normal. With ``a_p^i(j)`` the distance of patch ``p`` of image ``i`` to image ``j``, and ``d_1 <= ... <= d_{N-1}``
    these distances sorted, two properties identify such a defect:

    1. *neighbour burnout*: the distances of a normal patch grow slowly and steadily (*similarity scaling*:
       ``ln(d_{i+1} / d_i) ~ Exp(alpha i)``); those of a repeated anomaly jump after the copies.
       `zsad.scoring.consistency.suspicious_links` tests for the jump, and links ``p`` to the images before it;
    2. *a graph of images*: ``w_ij`` is the number of suspicious links from image ``i`` to ``j`` or from ``j`` to ``i``,
       whichever is less, since copies are neighbours of each other; the mean over layers and neighbourhoods. Images
       with ``w_ij >= 1`` are a pair.

    ``S(p)`` is then as in `Mutual`, but without the images that ``p`` links to and its own image is paired with: fewer
    than half, as a pattern of most images is normal. All other patches keep exactly the score of `Mutual`; so do all
    patches if nothing repeats, and in batches of fewer than five images (with a dozen, only clear repetition is found).

    The method is this project's interpretation of CoDeGraph, whose code and parameters are not public. Departures: the
    distances are first divided by their median over the image's patches, so that images which are similar as a whole
    (two photographs of one object, two states of lighting) do not count, nor do anomalies that fill more than half of
    an image; the endurance ratio ``d_i / d_omega`` is replaced by a test of one jump among all up to the rank
    ``omega``, whose only parameter is the rate of false alarms; pairs replace Leiden's communities, which depend on the
    order of the images and put an image with two patterns into one of them; and only patches with links lose
    neighbours.

    Rows of the table that have links are stored, in a temporary file if they exceed a quarter of the memory.
    """

    summary: ClassVar[str] = "A patch against each other test image, except those that repeat the same anomaly."
    reference: ClassVar[str] = "After CoDeGraph: Le-Gia and Ahn, TMLR 2025 (its idea, as interpreted by this project)."
    blind_to: ClassVar[str] = (
        "a defect that half of the test images share, a weakened texture, or a normal component in a wrong place, as "
        "positions are not compared"
    )

    false_alarms: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Average number of patches of a normal image that count as a repeated pattern by chance; a higher "
        "value finds more.",
    )

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, batch by batch, after all images of the batch are compared.

        Raises:
            DataError: there is only one image.
        """
        test = features["test"]
        stages = self.stages(test)
        meter, work = self.meter(test, len(stages))
        with meter:
            for images, share in zip(self.batches(len(test)), work, strict=True):
                yield from self._score_batch(test, images, stages, compute, adding(meter, share))

    def _score_batch(
        self,
        test: TokenSource,
        images: Sequence[int],
        stages: Sequence[Stage],
        compute: Compute,
        advance: Callable[[float], None],
    ) -> Iterator[ImageScore]:
        scores = [np.zeros(test.grid_sizes[index].prod()) for index in images]
        links = np.zeros((len(images), len(images)), dtype=int)
        shared = np.zeros(len(images), dtype=bool)
        aside_bytes = int(ASIDE_SHARE * compute.memory)
        compute = compute._replace(memory=compute.memory - aside_bytes)
        with SpooledTemporaryFile(max(1, aside_bytes)) as aside:
            for stage in stages:
                for position, row in distance_rows(test, images, stage, self.distance, compute, advance=advance):
                    distances = row[:, torch.isfinite(row[0])]
                    scores[position] += interval_mean(distances, self.interval).cpu().numpy() / len(stages)
                    suspects = self._suspects(position, distances)
                    links[position] += np.insert(suspects.links.sum(axis=0), position, 0)
                    suspects.save(aside)
            paired = np.minimum(links, links.T) >= LEAST_LINKS * len(stages)
            aside.seek(0)
            for suspects in (Suspects.load(aside) for _ in range(len(stages) * len(images))):
                left_out = suspects.links & np.delete(paired[suspects.position], suspects.position)
                rise = self._rise(suspects.distances, left_out)
                scores[suspects.position][suspects.patches] += rise / len(stages)
                shared[suspects.position] |= left_out.any()
        for position, index in enumerate(images):
            note = SHARED_PATTERN if shared[position] else ""
            yield ImageScore(index, scores[position].reshape(test.grid_sizes[index]), note)

    def _rise(self, distances: np.ndarray, left_out: np.ndarray) -> np.ndarray:
        """The increase of the score of a patch by leaving images out: float64 ``[patch]``, 0 if none is left out."""
        nothing = np.zeros_like(left_out)
        rest = mean_of_the_rest(distances, left_out, self.interval)
        rise: np.ndarray = rest - mean_of_the_rest(distances, nothing, self.interval)
        return rise

    def _suspects(self, position: int, distances: torch.Tensor) -> Suspects:
        """The patches of one image that have suspicious links."""
        least = LEAST_DISTANCE if self.distance == "euclidean" else LEAST_DISTANCE**2 / 2
        links = suspicious_links(distances, self.false_alarms, least)
        patches = links.any(dim=1).nonzero()[:, 0]
        kept = (patches, distances[patches], links[patches])
        return Suspects(position, *(tensor.cpu().numpy() for tensor in kept))


class Suspects(NamedTuple):
    """The patches of one image, in one layer and neighbourhood, that have suspicious links.

    Attributes:
        position: position of the image in the batch.
        patches: ``[suspect]``, positions on the grid, counted row by row.
        distances: float32 ``[suspect, other image]``.
        links: bool ``[suspect, other image]``.
    """

    position: int
    patches: np.ndarray
    distances: np.ndarray
    links: np.ndarray

    def save(self, file: IO[bytes]) -> None:
        """Append to a file."""
        for array in self:
            np.save(file, array)

    @classmethod
    def load(cls, file: IO[bytes]) -> Self:
        """Read the next appended rows, in the same order."""
        position, *arrays = (np.load(file) for _ in cls._fields)
        return cls(int(position), *arrays)
