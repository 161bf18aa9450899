"""The distances of every patch to each other image of a batch, the basis of all mutual scoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import accumulate, groupby, pairwise
from typing import Literal, NamedTuple

from zsad.lazy import torch
from zsad.scoring.compute import Compute
from zsad.scoring.side_by_side import ONE_BY_ONE, SideBySide, libraries_in_one_thread
from zsad.scoring.similarity import Metric, euclidean
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import image_tokens, normalise

Distance = Literal["euclidean", "cosine"]
Aggregation = Literal["unit", "musc"]
TABLE_SHARE, BLOCK_SHARE = 0.7, 0.2  # of the memory, for distances and for tokens


class Stage(NamedTuple):
    """One layer at one neighbourhood.

    Attributes:
        layer: position of the layer in the feature file.
        side: side of the square of patches that features are averaged over; 1 for the patches themselves.
        aggregation: vectors that are averaged: ``"unit"`` vectors or, as in MuSc's code, raw ones of a normalised map;
            see `unit_means` and `musc_means`.
    """

    layer: int
    side: int
    aggregation: Aggregation = "unit"


class Rows(NamedTuple):
    """The distances of one image's patches.

    Attributes:
        position: position of the image in the batch.
        distances: float32 ``[patch, image of the batch]``; infinite for the image itself, and for images that it is not
            compared with.
    """

    position: int
    distances: torch.Tensor


def distance_rows(
    reader: TokenSource,
    images: Sequence[int],
    stage: Stage,
    distance: Distance,
    compute: Compute,
    *,
    earlier_only: bool = False,
    advance: Callable[[float], None] = lambda _: None,
) -> Iterator[Rows]:
    """Yield ``a_p(j) = min over patches q of image j of |f_p - f_q|`` for every image of a batch, in order.

    One matrix product serves both images of a pair. The table of a group of images is in memory until the group is
    done; only if the memory holds less than the whole batch, pairs of different groups need two products.

    Args:
        images: positions in the feature file, at least two.
        earlier_only: compare an image only with those before it in ``images``.
        advance: called with each computed share of the distances, 1 in total.
    """
    patches = reader.grid_sizes.prod(axis=1)[list(images)].tolist()
    tokens = _Tokens(reader, images, stage, compute)
    groups = _runs(len(images), compute.count(max(patches) * len(images) * 4, TABLE_SHARE))
    blocks = _runs(len(images), compute.count(max(patches) * tokens.metric.point_bytes, BLOCK_SHARE))
    distances = _distances(patches, groups, earlier_only=earlier_only)
    for group in groups:
        tables = {i: torch.full((len(images), patches[i]), torch.inf, device=compute.device) for i in group}
        with libraries_in_one_thread() if tokens.metric.is_by_numpy else nullcontext(ONE_BY_ONE) as side_by_side:
            for block in blocks:
                for computed in _fill(tables, block, patches, tokens, side_by_side, earlier_only=earlier_only):
                    advance(computed / distances)
        for position, h in tables.items():
            yield Rows(position, (euclidean(h) if distance == "euclidean" else h).T.contiguous())


def _distances(patches: Sequence[int], groups: Sequence[range], *, earlier_only: bool) -> int:
    """How many pairs of patches are compared: those of two images once, or once for the table of each group."""
    twice = 0 if earlier_only else _pairs([sum(patches[i] for i in group) for group in groups])
    return _pairs(patches) + twice


def _pairs(counts: Sequence[int]) -> int:
    """Number of pairs of members of different sets, from the sizes of the sets."""
    return (sum(counts) ** 2 - sum(count**2 for count in counts)) // 2


def _fill(
    tables: dict[int, torch.Tensor],
    block: range,
    patches: Sequence[int],
    tokens: _Tokens,
    side_by_side: SideBySide,
    *,
    earlier_only: bool,
) -> Iterator[int]:
    """Fill in the distances between a block of images and all later images, for those with a table.

    Tables are ``[image of the batch, patch]``, so that the result of a product is contiguous.

    The block is in memory; the others are read one by one. Yields the number of compared pairs of patches of each.
    """
    start = block[0]
    queries: torch.Tensor | None = None
    places = [0, *accumulate(patches[i] for i in block)]
    for j in range(start + 1, len(patches)):
        wanted = [i for i in block if i < j and (j in tables or (i in tables and not earlier_only))]
        if not wanted:
            continue
        queries = tokens.stacked_queries(block) if queries is None else queries
        if j in block:
            points = tokens.metric.queries(queries[places[j - start] : places[j - start + 1]])
        else:
            points = tokens.points(j)
        for _, alike in groupby(wanted, key=patches.__getitem__):
            some = list(alike)  # consecutive, like those that have a table or come before j
            rows = queries[places[some[0] - start] : places[some[-1] - start + 1]]
            of_some, of_j = tokens.metric.nearest_both_ways(rows, points, len(some), side_by_side)
            if not earlier_only:
                for i, of_i in zip(some, of_some, strict=True):
                    if i in tables:
                        tables[i][j] = of_i
            if j in tables:
                tables[j][some[0] : some[-1] + 1] = of_j
        yield patches[j] * sum(patches[i] for i in wanted)


class _Tokens:
    """The tokens of the batch as operands, ``[patch, width]``, read image by image."""

    def __init__(self, reader: TokenSource, images: Sequence[int], stage: Stage, compute: Compute) -> None:
        self._reader, self._images, self._stage, self._device = reader, images, stage, compute.device
        self.metric = Metric(compute, self._aggregated(0).mean(dim=0))

    def points(self, position: int) -> torch.Tensor:
        """Right operands of an image."""
        return self.metric.points(self._aggregated(position))

    def stacked_queries(self, positions: Sequence[int]) -> torch.Tensor:
        """Left operands of some images, one after another."""
        counts = self._reader.grid_sizes.prod(axis=1)[[self._images[position] for position in positions]].tolist()
        stacked = torch.empty(sum(counts), self.metric.width, dtype=self.metric.format, device=self._device)
        for position, operands in zip(positions, stacked.split(counts), strict=True):
            operands.copy_(self.metric.queries(self.points(position)))
        return stacked

    def _aggregated(self, position: int) -> torch.Tensor:
        tokens = image_tokens(self._reader, self._images[position], [self._stage.layer], self._device)[0]
        return AGGREGATIONS[self._stage.aggregation](tokens, self._stage.side).flatten(0, 1)


def unit_means(tokens: torch.Tensor, side: int) -> torch.Tensor:
    """The directions of tokens ``[row, column, channel]``, averaged over ``side x side`` patches, normalised again."""
    unit = normalise(tokens)
    return unit if side == 1 else normalise(_means(unit, side))


def musc_means(tokens: torch.Tensor, side: int) -> torch.Tensor:
    """Tokens ``[row, column, channel]`` as MuSc's code aggregates them: unit vectors of the same shape.

    Its layer norm over the whole map, all channels and places together, subtracts one number from every value and
    divides by another. The division does not change directions and is left out; the mean of raw tokens is normalised at
    the end.
    """
    centred = tokens - tokens.mean()
    return normalise(centred if side == 1 else _means(centred, side))


AGGREGATIONS: dict[Aggregation, Callable[[torch.Tensor, int], torch.Tensor]] = {"unit": unit_means, "musc": musc_means}


def _means(tokens: torch.Tensor, side: int) -> torch.Tensor:
    """Means over ``side x side`` patches.

    At the border fewer patches are averaged: the zeros beyond it shorten the mean and do not change its direction.
    """
    pooled = torch.nn.functional.avg_pool2d(tokens.permute(2, 0, 1)[None], side, stride=1, padding=side // 2)
    return pooled[0].permute(1, 2, 0)


def _runs(count: int, size: int) -> list[range]:
    """``range(count)`` in the fewest and most even runs of at most ``size`` members."""
    number = -(-count // size)
    bounds = [count * index // number for index in range(number + 1)]
    return [range(start, end) for start, end in pairwise(bounds)]
