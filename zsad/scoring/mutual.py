"""Mutual scoring: a patch is anomalous if the other unlabelled test images have nothing similar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.lazy import torch
from zsad.progress import Meter
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import Compute
from zsad.scoring.mutual_base import MutualScorer, adding, interval_mean
from zsad.scoring.mutual_distances import Stage, distance_rows
from zsad.scoring.token_source import TokenSource

FIRST_IMAGE = "no image before it to compare with"


class Mutual(MutualScorer):
    """Score the test images of a category against each other.

    For a layer and a neighbourhood of ``r x r`` patches, with ``f_p^i`` the unit feature of patch ``p`` of image ``i``:

    1. local aggregation: ``f`` is the mean over the neighbourhood, normalised again;
    2. mutual scoring: ``a_p^i(j) = min over patches q of image j of |f_p^i - f_q^j|``, for each other image ``j``;
    3. ``S(p)``: the mean of the ``a_p^i(j)`` that lie in ``interval`` when they are sorted, as shares of the ``N - 1``
       other images; bounds are rounded down as published, and at least one is averaged (the published formula is
       undefined for four images or fewer).

    ``S`` is averaged over layers and neighbourhoods. Step 3 assumes that defects are rare: enough other images show the
    same region without a defect.

    4. Re-scoring: with ``W`` the cosines of the images' class tokens, the image scores become ``W_k s``, averaged over
       ``k`` in ``rescoring``, where ``W_k`` keeps the ``k`` greatest of each row (the image itself is one) and has rows
       that sum to one. It is linear, so that the unit of the maps is kept (the published min-max scaling of the scores
       before it only shifts and scales the result).

    Departures from the authors' code, and the options that restore it:

    - ``aggregation: musc``. The code takes a layer norm over a whole feature map, channels and positions together, and
      averages *raw* tokens before they are normalised; its pooling of the neighbours is their mean, channel by channel.
      ``unit`` averages directions, so that a long token does not count more than a short one. For tokens of equal
      length and mean 0, both are the same. Rank correlation of the two maps of an image, on average over 20 photographs
      of magnetic tiles: .9996 for EfficientNet-Lite0 (also for its raw maps, whose lengths vary by 10 %), .957 for
      ``embedded``, whose tokens are of one length, but not of mean 0; .968 where tokens of EfficientNet-Lite0 get
      random lengths (log-normal, of deviation 1 in the logarithm).
    - ``class_tokens: raw``. For CLIP the code uses the projected vector of the image, divided by its length, which is
      ``unit`` (negative cosines aside); for DINO and DINOv2 the class token after the last LayerNorm as it is. Then a
      long class token is nearest to many, and an image may not be its own nearest. This is not a detail: with mean
      tokens of the same photographs as class tokens, whose lengths vary by 4 to 5 %, 40 to 60 % of the images were not
      the nearest to themselves, and the image scores had a rank correlation of -.02 to .21 with those of ``unit``.
    - With ``batch``, images are re-scored by those of their batch, where the code uses all images of a category.
    - With four images or fewer at least one distance is averaged, where the code divides by zero.

    ``batch`` splits large sets at random into batches that are scored separately: time and memory grow with the square
    of a batch. ``online`` processes the images in a random order, as from a production line, and compares each only
    with those before it; the first has no image to compare with, and its map is zero with a note.
    """

    summary: ClassVar[str] = "A patch against each other test image of the unlabelled batch."
    reference: ClassVar[str] = "MuSc: Li et al., ICLR 2024, sections 3.1 to 3.3."
    blind_to: ClassVar[str] = (
        "a defect that many of the other test images share, a weakened texture, or a normal component in a wrong "
        "place, as positions are not compared"
    )

    online: bool = Field(
        False, description="Whether an image is compared only with those before it, in a random order by seed."
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
            yield from self._scored(test, stages, compute, meter, work)

    def _scored(
        self, test: TokenSource, stages: Sequence[Stage], compute: Compute, meter: Meter, work: Sequence[float]
    ) -> Iterator[ImageScore]:
        for images, share in zip(self.batches(len(test)), work, strict=True):
            scores = [np.zeros(test.grid_sizes[index].prod()) for index in images]
            for stage in stages:
                rows = distance_rows(
                    test,
                    images,
                    stage,
                    self.distance,
                    compute,
                    earlier_only=self.online,
                    advance=adding(meter, share),
                )
                for position, distances in rows:
                    seen = distances[:, torch.isfinite(distances[0])]
                    scores[position] += interval_mean(seen, self.interval).cpu().numpy() / len(stages)
            for position, index in enumerate(images):
                note = FIRST_IMAGE if self.online and position == 0 else ""
                yield ImageScore(index, scores[position].reshape(test.grid_sizes[index]), note)

    def batches(self, count: int) -> list[list[int]]:
        """See `MutualScorer.batches`; online, each batch in the order of arrival."""
        batches = super().batches(count)
        if not self.online:
            return batches
        generator = np.random.default_rng(self.seed)
        return [generator.permutation(images).tolist() for images in batches]

    def visible(self, count: int) -> np.ndarray:
        """See `MutualScorer.visible`; online, an image is re-scored only by those before it."""
        return np.tri(count, dtype=bool) if self.online else super().visible(count)
