"""Distances between unit vectors as blocked matrix products in any number format, and nearest-neighbour search.

All functions use ``h(f, g) = |f - g|^2 / 2``, which for unit vectors is the cosine distance ``1 - <f, g>``; the
Euclidean distance is ``sqrt(2 h)``. With any centre ``m``, and ``f' = f - m``, ``g' = g - m``,

    ``h(f, g) = |f'|^2 / 2 + |g'|^2 / 2 - <f', g'>``

is a single product of two longer vectors, ``(-f', |f'|^2 / 2, 1)`` and ``(g', 1, |g'|^2 / 2)``. That makes 16-bit
formats safe: the cosines of like patches lie near 1, where bfloat16 has steps of 1/256, while their ``h`` lies near 0
and is rounded in proportion to itself. The squared lengths are those of the rounded vectors and are split into as many
16-bit parts as float32 needs, so that ``h`` is exact for the rounded vectors except for its own last rounding, and zero
for equal ones. Products are summed in float32 by the hardware.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import numpy as np

from zsad.lazy import torch
from zsad.scoring.compute import Compute
from zsad.scoring.side_by_side import ONE_BY_ONE, SideBySide

ALIGNMENT = 8  # operands are padded to a multiple of it, for the speed of matrix units
CACHED_BYTES = 4 << 20  # larger blocks of distances leave the processor's cache and are slower
SHARES = 8  # least number of products for several small images; the same for any number of threads, for equal results
LEAST_HEIGHT = 16  # rows of a block of distances, below which it is narrowed
GATHERED = 4  # copying a row takes as long as searching so many rows in place
SMALL = 1e-3  # below it, cancellation in float32 loses digits that a Euclidean distance would show


def cosine_distance(cosine: torch.Tensor) -> torch.Tensor:
    """``1 - cosine``, in ``[0, 2]``: values below zero by rounding become zero."""
    return (1 - cosine).clamp(0, 2)


def euclidean(h: torch.Tensor) -> torch.Tensor:
    """Euclidean distance of two unit vectors from ``h``: ``sqrt(2 h)``, in ``[0, 2]``."""
    return (2 * h).sqrt()


class Metric:
    """``h`` as a matrix product.

    Args:
        compute: device, number format and memory.
        centre: ``[channel]``, any vector near the tokens, such as their mean; the same for both operands.

    Attributes:
        width: of an operand.
    """

    def __init__(self, compute: Compute, centre: torch.Tensor) -> None:
        self.compute = compute
        self.format = compute.format
        self.channels = len(centre)
        self.centre = centre
        self._parts = {torch.float32: 1, torch.float16: 2, torch.bfloat16: 3}[self.format]
        self._spaces = threading.local()
        self._vector = slice(0, self.channels)
        self._ones = slice(self.channels, self.channels + self._parts)
        self._halves = slice(self._ones.stop, self._ones.stop + self._parts)
        self.width = self._halves.stop + -self._halves.stop % ALIGNMENT

    @property
    def is_by_numpy(self) -> bool:
        """Whether numpy makes the products and looks for the least of them: in float32 on a CPU."""
        return self.format == torch.float32 and self.compute.device == "cpu"

    @property
    def point_bytes(self) -> int:
        """Bytes of one vector as an operand."""
        return self.width * self.format.itemsize

    def points(self, tokens: torch.Tensor) -> torch.Tensor:
        """Unit vectors ``[..., channel]`` as right operands ``[vector, width]``: ``(g', 1, |g'|^2 / 2)``."""
        return self.points_of(tokens.reshape(-1, self.channels) - self.centre)

    def points_of(self, centred: torch.Tensor) -> torch.Tensor:
        """Right operands of ``g'``, vectors ``[vector, channel]`` minus the centre."""
        points = torch.zeros(len(centred), self.width, dtype=self.format, device=centred.device)
        points[:, self._vector] = centred
        points[:, self._ones] = 1
        points[:, self._halves] = self._split(points[:, self._vector].float().square().sum(dim=1) / 2)
        return points

    def queries(self, points: torch.Tensor) -> torch.Tensor:
        """The same vectors as left operands, ``(-f', |f'|^2 / 2, 1)``; also from left operands to right ones."""
        queries = torch.neg(points)
        queries[:, self._ones] = points[:, self._halves]
        queries[:, self._halves] = points[:, self._ones]
        return queries

    def nearest(self, queries: torch.Tensor, points: torch.Tensor, k: int = 1) -> torch.Tensor:
        """``h`` of each query and its ``k`` nearest points, float32 ``[query, k]``, in no particular order.

        Args:
            queries: left operands ``[query, width]``.
            points: right operands ``[point, width]``, at least ``k`` of them.
        """
        height, width = self.block(len(queries), len(points), k)
        nearest = []
        for rows in queries.split(height):
            best = rows.new_empty(len(rows), 0)
            for columns in points.split(width):
                best = smallest(torch.cat([best, smallest(self.product(rows, columns), k)], dim=1), k)
            nearest.append(best.float().clamp_(min=0))
        return torch.cat(nearest)

    def nearest_place(self, queries: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``h`` of each query and its nearest point, and the position of that point; the first of equal ones.

        Args:
            queries: left operands ``[query, width]``.
            points: right operands ``[point, width]``, at least one.

        Returns:
            float32 ``[query]``, and int64 ``[query]``.
        """
        height, width = self.block(len(queries), len(points), 1)
        nearest, places = [], []
        for rows in queries.split(height):
            best = rows.new_full((len(rows),), torch.inf, dtype=torch.float32)
            place = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
            for start in range(0, len(points), width):
                least, there = self.product(rows, points[start : start + width]).min(dim=1)
                nearer = least.float() < best
                best, place = best.where(~nearer, least.float()), place.where(~nearer, there + start)
            nearest.append(best.clamp_(min=0))
            places.append(place)
        return torch.cat(nearest), torch.cat(places)

    def vectors(self, points: torch.Tensor) -> torch.Tensor:
        """The vectors behind right operands, float32 ``[vector, channel]``: as rounded by `points`."""
        return points[:, self._vector].float() + self.centre

    def nearest_both_ways(
        self, queries: torch.Tensor, points: torch.Tensor, images: int = 1, side_by_side: SideBySide = ONE_BY_ONE
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``h`` of each vector of some images and the nearest of another, and the other way round, from one product.

        Very small ones are computed again from the difference of the vectors, which keeps all digits.

        Args:
            queries: left operands ``[vector, width]`` of the images, the same number for each, one image after another.
            points: right operands ``[other vector, width]`` of the other image.
            images: number of images; several small ones share a product.
            side_by_side: shares out the products among threads.

        Returns:
            float32 ``[image, vector]`` and ``[image, other vector]``.
        """
        patches = len(queries) // images
        height, _ = self.block(len(queries), len(points), 1, whole_width=True)
        if height < patches:
            parts = side_by_side.map(lambda image: self._image_both_ways(image, points, height), queries.split(patches))
        else:
            together = min(height // patches, math.ceil(images / SHARES))
            parts = side_by_side.map(
                lambda rows: self._block_both_ways(rows, points, len(rows) // patches),
                queries.split(together * patches),
            )
        of_queries, of_points = zip(*parts, strict=True)
        return torch.cat(of_queries), torch.cat(of_points)

    def _image_both_ways(
        self, queries: torch.Tensor, points: torch.Tensor, height: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`nearest_both_ways` of one image, with ``height`` patches for each product."""
        of_queries, of_points = [], queries.new_full((1, len(points)), torch.inf, dtype=torch.float32)
        for rows in queries.split(height):
            of_rows, nearest = self._block_both_ways(rows, points, 1)
            of_queries.append(of_rows)
            of_points = torch.minimum(of_points, nearest)
        return torch.cat(of_queries, dim=1), of_points

    def _block_both_ways(
        self, queries: torch.Tensor, points: torch.Tensor, images: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`nearest_both_ways` by a single product."""
        h = self.product(queries, points).view(images, -1, len(points))
        least_of_queries, least_of_points = _least(h, 2), _least(h, 1)
        of_queries, of_points = (least.float().clamp(min=0) for least in (least_of_queries, least_of_points))
        if self.format == torch.float32:
            image, patch = (of_queries < SMALL).nonzero(as_tuple=True)
            if len(image):
                place = _places_along_rows(h, image, patch)
                of_queries[image, patch] = self._measured(queries[image * h.shape[1] + patch], points[place])
            image, point = (of_points < SMALL).nonzero(as_tuple=True)
            if len(image):
                place = _places_along_columns(h, least_of_points, image, point)
                of_points[image, point] = self._measured(queries[image * h.shape[1] + place], points[point])
        return of_queries, of_points

    def _measured(self, queries: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """``h`` of pairs of operands, ``[pair, width]`` each, from differences of their vectors; float32 ``[pair]``."""
        return (queries[:, self._vector] + points[:, self._vector]).square().sum(dim=1) / 2

    def product(self, queries: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """``h`` of all pairs, ``[query, point]``, valid until the next call of the same thread.

        The memory is reused: new pages cost a CPU as much as a tenth of the product. In float32 on a CPU, numpy's
        OpenBLAS is used, which on AMD processors is a tenth to a fifth faster than torch's MKL.
        """
        size = len(queries) * len(points)
        space = getattr(self._spaces, "values", None)
        if space is None or space.numel() < size:
            space = self._spaces.values = queries.new_empty(size)
        out: torch.Tensor = space[:size].view(len(queries), len(points))
        if not _by_numpy(out):
            return torch.mm(queries, points.T, out=out)
        filled = slice(0, self._halves.stop)  # padding only costs time here
        np.matmul(queries[:, filled].numpy(), points[:, filled].numpy().T, out=out.numpy())
        return out

    def block(self, queries: int, points: int, k: int, *, whole_width: bool = False) -> tuple[int, int]:
        """Height and width of a block of distances: within the memory, and on a CPU within the cache."""
        budget = self.compute.memory // 4
        if self.compute.device == "cpu":
            budget = min(budget, CACHED_BYTES)
        entries = max(1, budget // self.format.itemsize)
        width = points if whole_width else min(points, max(k, math.isqrt(entries)))
        return max(1, min(queries, entries // width)), width

    def wide_block(self, patches: int, k: int) -> tuple[int, int]:
        """The same for all pairs of the patches of an image: its full width, if that leaves some rows of patches."""
        height, width = self.block(patches, patches, k, whole_width=True)
        if height >= LEAST_HEIGHT:
            return height, width
        height, width = self.block(patches, max(k, height * width // LEAST_HEIGHT), k, whole_width=True)
        return height, min(width, patches)

    def _split(self, values: torch.Tensor) -> torch.Tensor:
        """Float32 values as sums of numbers in the format, ``[value, part]``."""
        parts = []
        for _ in range(self._parts):
            parts.append(values.to(self.format))
            values = values - parts[-1].float()
        return torch.stack(parts, dim=1)


def self_dissimilarity(
    tokens: torch.Tensor, k: int, exclusion_radius: int, compute: Compute, among: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean cosine distance of each patch to the ``k`` most similar other patches of its own image.

    Patches within the exclusion radius do not count: their receptive fields overlap that of the patch, so that even a
    defect would be similar to them.

    Args:
        tokens: unit vectors ``[row, column, channel]``.
        k: at most `fewest_candidates`.
        exclusion_radius: greatest Chebyshev distance, in patches, at which a patch does not count; 0 leaves out only
            the patch itself.
        among: bool ``[row, column]``, the patches that count as others; None for all.

    Returns:
        float32 ``[row, column]``; infinite for a patch outside ``among`` with fewer than ``k`` others.

    Raises:
        ValueError: a patch is left with fewer than ``k`` others.
    """
    rows, columns, _ = tokens.shape
    if among is None:
        among = torch.ones(rows, columns, dtype=torch.bool, device=tokens.device)
    if not 1 <= k <= fewest_candidates(among, exclusion_radius):
        raise ValueError(f"no {k} neighbours beyond radius {exclusion_radius} for each patch of {rows} x {columns}")
    metric = Metric(compute, tokens.mean(dim=(0, 1)))
    points = metric.points(tokens)
    height, width = metric.wide_block(rows * columns, k)
    if height >= columns:
        height -= height % columns  # whole rows of the grid
    queries, places = metric.queries(points), torch.arange(rows * columns, device=tokens.device)
    grid, distances = points.reshape(rows, columns, -1), tokens.new_empty(rows * columns, dtype=torch.float32)
    for some, place, result in zip(*(values.split(height) for values in (queries, places, distances)), strict=True):
        near_rows = _near(place // columns, rows, exclusion_radius)
        near_columns = _near(place % columns, columns, exclusion_radius)
        best = some.new_empty(len(some), 0)
        for down, along in _parts(rows, columns, width):
            # [query, row, column]
            excluded = near_rows[:, down, None] & near_columns[:, None, along] | ~among[down, along]
            h = metric.product(some, grid[down, along].flatten(0, 1))
            h.masked_fill_(excluded.flatten(1), torch.inf)
            best = smallest(torch.cat([best, smallest(h, k)], dim=1), k) if best.shape[1] else smallest(h, k)
        result.copy_(best.float().clamp_(min=0).mean(dim=1))
    return distances.reshape(rows, columns)


def fewest_candidates(among: torch.Tensor, exclusion_radius: int) -> int:
    """The least number of patches beyond the exclusion radius of a patch.

    Args:
        among: bool ``[row, column]``, the patches that count, both as patches and as their others.
    """
    side = 2 * exclusion_radius + 1
    near = torch.nn.functional.avg_pool2d(
        among[None, None].double(), side, stride=1, padding=exclusion_radius, divisor_override=1
    )[0, 0]
    return int(among.sum() - near[among].max().round())


def _near(positions: torch.Tensor, size: int, radius: int) -> torch.Tensor:
    """Whether places along an axis are at most ``radius`` from each position, bool ``[position, size]``."""
    return (positions[:, None] - torch.arange(size, device=positions.device)).abs() <= radius


def _parts(rows: int, columns: int, patches: int) -> Iterator[tuple[slice, slice]]:
    """Split a grid into blocks of at most so many patches: some of its rows, or some of one row."""
    for top in range(0, rows, max(1, patches // columns)):
        for left in range(0, columns, patches):
            yield slice(top, top + max(1, patches // columns)), slice(left, left + patches)


def _by_numpy(values: torch.Tensor) -> bool:
    """Whether numpy computes with the values; torch's threads should then not wait for work at the same time."""
    return values.dtype == torch.float32 and values.device.type == "cpu"


def _least(h: torch.Tensor, dim: int) -> torch.Tensor:
    """The least along an axis; values below zero by rounding count as least.

    Non-negative 16-bit numbers have the order of their bits, and a CPU compares integers six times as fast as bfloat16.
    """
    if h.dtype.itemsize == 2:
        return h.view(torch.int16).amin(dim=dim).view(h.dtype)
    return torch.from_numpy(h.numpy().min(axis=dim)) if _by_numpy(h) else h.amin(dim=dim)


def _places_along_rows(h: torch.Tensor, image: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """The column of the least value in some rows of ``h``, ``[image, row, column]``: int64 ``[place]``.

    numpy finds them nine times as fast as torch.
    """
    if not _by_numpy(h):
        return h[image, row].argmin(dim=1)
    rows = h.numpy()
    if GATHERED * len(image) < h.shape[0] * h.shape[1]:
        return torch.from_numpy(rows[image.numpy(), row.numpy()].argmin(axis=1))
    return torch.from_numpy(rows.argmin(axis=2))[image, row]


def _places_along_columns(
    h: torch.Tensor, least: torch.Tensor, image: torch.Tensor, column: torch.Tensor
) -> torch.Tensor:
    """The first row of the least value in some columns of ``h``, ``[image, row, column]``: int64 ``[place]``.

    ``least`` holds these values, ``[image, column]``.

    A pass over whole rows that compares with the least is six times as fast as one along the columns.
    """
    if not _by_numpy(h):
        return h.transpose(1, 2)[image, column].argmin(dim=1)
    images, _, columns = h.shape
    sought = np.full((images, 1, columns), np.nan, dtype=np.float32)
    sought[image.numpy(), 0, column.numpy()] = least[image, column].numpy()
    there, rows, found = np.unravel_index(np.flatnonzero(h.numpy() == sought)[::-1], h.shape)
    places = np.empty((images, columns), dtype=np.int64)
    places[there, found] = rows  # backwards, so that the first of several rows remains
    return torch.from_numpy(places[image.numpy(), column.numpy()])


def smallest(h: torch.Tensor, k: int) -> torch.Tensor:
    """The ``k`` smallest along the last axis, or all if there are fewer, in no particular order."""
    if k == 1 and h.shape[-1]:
        return _least(h, -1)[..., None]
    return h.topk(min(k, h.shape[-1]), dim=-1, largest=False, sorted=False).values
