"""Batch neighbours: a patch is anomalous if few patches of all other test images together are similar to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import ClassVar, NamedTuple

from pydantic import Field

from zsad.data.subsets import FeatureSet
from zsad.lazy import torch
from zsad.progress import Meter
from zsad.scoring.base import FEWEST_COMPARED, ImageScore, Needs, Scorer, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import SELECTED, TokenCount, pair_operations
from zsad.scoring.foreground import Foreground, find_foreground
from zsad.scoring.similarity import Metric, smallest
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, image_tokens, layer_indices, unit_tokens

BLOCK_SHARE, NEAREST_SHARE = 0.2, 0.3  # of the memory, for tokens and for the nearest so far
NEAREST_BYTES = 3 * 4  # of a distance: the nearest so far, the new ones, and both together


class BatchNeighbours(Scorer):
    """Score each patch by its nearest patches in all other test images.

    With unit patch features ``f_p`` of an image and ``M`` patches ``f_q`` in all other images of the batch,

        ``S(p) = mean of the smallest 1 - <f_p, f_q>``, those below the ``quantile`` of all ``M``,

    averaged over the layers: as published the ``int(quantile M) - 1`` smallest, and at least one. Unlike mutual scoring
    it does not count the images of the neighbours: one image that repeats a defect often enough makes it look normal.
    With ``foreground``, patches of the background score 0; the others are compared with whole images.

    The authors' code (``run_anomalydino_batched.py``) gives the same numbers, with two departures. Where distances tie
    at the quantile, it averages only the smaller ones, and if there are none, as always with fewer than
    ``2 / quantile`` patches, the result is undefined. And it crops an image at the right and the bottom to whole
    patches, while the backbones here resize it. The rest of its recipe is set elsewhere: the foreground by
    ``foreground``, the image score, the mean of the top 1 % of patches, by ``image_score``.
    """

    summary: ClassVar[str] = "A patch against the nearest patches of all other test images of the unlabelled batch."
    reference: ClassVar[str] = "AnomalyDINO, batched zero-shot: Damm et al., WACV 2025, section 4.4."
    blind_to: ClassVar[str] = (
        "a defect that repeats in the batch, even within one other image, a weakened texture, or a normal "
        "component in a wrong place, as positions are not compared"
    )

    quantile: float = Field(
        0.001, gt=0, le=1, description="Share of the nearest patches of all other images whose distances are averaged."
    )
    foreground: Foreground = None
    layers: Layers = None

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
        if (count := len(images["test"].image_ids)) < FEWEST_COMPARED:
            return f"batch neighbours need at least {FEWEST_COMPARED} test images, and there is {count}; add some"
        return super().refusal(images)

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """All pairs of patches of different images at each layer, and the smallest few for each patch."""
        test = tokens["test"]
        pairs = float(test.images) * (test.images - 1) * test.patches**2 * test.layers
        return super().operations(tokens) + pair_operations(pairs, test.channels, SELECTED)

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """The tokens of one layer, and the nearest of every patch."""
        test = tokens["test"]
        nearest = self.quantile * (float(test.images) * test.patches) ** 2
        return 4.0 * test.values / test.layers + NEAREST_BYTES * nearest

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order, after all are compared.

        Raises:
            DataError: there is only one image.
        """
        test = features["test"]
        self.check(features)
        layers = layer_indices(test, self.layers)
        maps = [torch.zeros(*grid, device=compute.device) for grid in test.grid_sizes.tolist()]
        patches = test.grid_sizes.prod(axis=1)
        pairs = float(patches.sum()) ** 2 - float((patches**2).sum())
        with Meter("comparing patches", pairs * len(layers)) as meter:
            for layer in layers:
                for part, nearest in self._nearest(test, layer, compute, meter):
                    maps[part.image].view(-1)[part.patches] += nearest.mean(dim=1) / len(layers)
        for index, anomaly_map in enumerate(maps):
            tokens = image_tokens(test, index, layers[-1:], compute.device)[0]
            inside, note = find_foreground(test, index, tokens, self.foreground)
            yield ImageScore(index, torch.where(inside, anomaly_map, 0).cpu().numpy(), note)

    def _nearest(
        self, test: TokenSource, layer: int, compute: Compute, meter: Meter
    ) -> Iterator[tuple[PatchRun, torch.Tensor]]:
        """Distances of every image's patches to the nearest of the others, ``[patch, neighbour]``, run by run.

        Every block of images is compared with all runs of patches before the next one is read. If the memory does not
        hold the nearest of all, groups of runs are compared with all blocks, one group after the other.
        """
        patches = test.grid_sizes.prod(axis=1).tolist()
        wanted = [max(1, int(self.quantile * (sum(patches) - own)) - 1) for own in patches]
        metric = Metric(compute, unit_tokens(test, 0, [layer], compute.device).flatten(0, 2).mean(dim=0))
        size = compute.count(max(patches) * metric.point_bytes, share=BLOCK_SHARE)
        blocks = [range(start, min(start + size, len(test))) for start in range(0, len(test), size)]
        for parts in _groups(patches, wanted, compute.count(NEAREST_BYTES, share=NEAREST_SHARE)):
            best = [torch.empty(part.number, 0, device=compute.device) for part in parts]
            for block in blocks:
                points = torch.cat(
                    [metric.points(unit_tokens(test, other, [layer], compute.device)) for other in block]
                )
                ends = list(accumulate(patches[block.start : block.stop], initial=0))
                for number, part in enumerate(parts):
                    own = unit_tokens(test, part.image, [layer], compute.device).flatten(0, 2)[part.patches]
                    queries = metric.queries(metric.points(own))
                    most = wanted[part.image]
                    start, end = ends[part.image - block.start :][:2] if part.image in block else (0, 0)
                    for run in (run for run in (points[:start], points[end:]) if len(run)):
                        found = metric.nearest(queries, run, min(most, len(run)))
                        best[number] = smallest(torch.cat([best[number], found], dim=1), most)
                    meter.add(float(part.number * (len(points) - end + start)))
            yield from zip(parts, best, strict=True)


class PatchRun(NamedTuple):
    """A run of consecutive patches of one image."""

    image: int
    start: int
    stop: int

    @property
    def patches(self) -> slice:
        """Their positions among those of the image."""
        return slice(self.start, self.stop)

    @property
    def number(self) -> int:
        """How many."""
        return self.stop - self.start


def _groups(patches: Sequence[int], wanted: Sequence[int], most: int) -> Iterator[list[PatchRun]]:
    """Split all patches of all images into groups with a limited total number of neighbours, at least one patch each.

    Args:
        patches: number of patches of each image.
        wanted: number of neighbours of each patch of an image.
    """
    group: list[PatchRun] = []
    left = most
    for index, (own, each) in enumerate(zip(patches, wanted, strict=True)):
        start = 0
        while start < own:
            if left < min(each * (own - start), most) and group:
                yield group
                group, left = [], most
            stop = min(own, start + max(1, left // each))
            group.append(PatchRun(index, start, stop))
            left -= each * (stop - start)
            start = stop
    yield group
