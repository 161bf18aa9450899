"""Nearest neighbours by cosine, in blocks: a matrix of similarities has about `BLOCK_SIMILARITIES` entries at most.

All tokens are unit vectors, so that a matrix product gives cosines, and the cosine distance is ``1 - cosine``.
Products are taken in float32; against exact arithmetic a cosine is off by about 1e-7.
"""

from __future__ import annotations

import math

from zsad.lazy import torch

BLOCK_SIMILARITIES = 1 << 24  # 64 MiB of float32


def cosine_distance(cosine: torch.Tensor) -> torch.Tensor:
    """``1 - cosine``, in ``[0, 2]``: what rounding puts below zero is zero."""
    return (1 - cosine).clamp(0, 2)


def euclidean_distance(cosine: torch.Tensor) -> torch.Tensor:
    """Distance of two unit vectors, ``sqrt(2 - 2 cosine)``, in ``[0, 2]``; below 1e-3 it is rounding."""
    return (2 * cosine_distance(cosine)).sqrt()


def nearest_cosines(queries: torch.Tensor, bank: torch.Tensor, k: int = 1) -> torch.Tensor:
    """Cosines of each query with its ``k`` most similar tokens of a bank, in no particular order.

    Args:
        queries: unit vectors ``[query, channel]``.
        bank: unit vectors ``[entry, channel]``, at least ``k`` of them.

    Returns:
        ``[query, k]``.
    """
    width = min(len(bank), max(k, math.isqrt(BLOCK_SIMILARITIES)))
    height = max(1, BLOCK_SIMILARITIES // width)
    nearest = []
    for rows in queries.split(height):
        best = rows.new_empty(len(rows), 0)
        for entries in bank.split(width):
            best = _largest(torch.cat([best, _largest(rows @ entries.T, k)], dim=1), k)
        nearest.append(best)
    return torch.cat(nearest)


def nearest_cosines_both_ways(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Greatest cosine of each token of one image with the tokens of another, and the other way round.

    One matrix product serves both directions.

    Args:
        first: unit vectors ``[patch, channel]``.
        second: unit vectors ``[other patch, channel]``.

    Returns:
        ``[patch]`` and ``[other patch]``.
    """
    height = max(1, BLOCK_SIMILARITIES // len(second))
    of_first, of_second = [], []
    for rows in first.split(height):
        cosines = rows @ second.T
        of_first.append(cosines.amax(dim=1))
        of_second.append(cosines.amax(dim=0))
    return torch.cat(of_first), torch.stack(of_second).amax(dim=0)


def self_dissimilarity(tokens: torch.Tensor, k: int, exclusion_radius: int) -> torch.Tensor:
    """Mean cosine distance of each patch to the ``k`` most similar other patches of its own image.

    Patches nearer than the exclusion radius do not count: their receptive fields overlap the patch's own, so that
    even a defect would find itself in them.

    Args:
        tokens: unit vectors ``[row, column, channel]``.
        k: at most `fewest_candidates`.
        exclusion_radius: greatest Chebyshev distance, in patches, at which a patch does not count; 0 leaves out the
            patch alone.

    Returns:
        ``[row, column]``.

    Raises:
        ValueError: a patch is left with fewer than ``k`` others.
    """
    rows, columns, _ = tokens.shape
    if not 1 <= k <= fewest_candidates(rows, columns, exclusion_radius):
        raise ValueError(f"no {k} neighbours beyond radius {exclusion_radius} for each patch of {rows} x {columns}")
    near_rows, near_columns = (_near(size, exclusion_radius).to(tokens.device) for size in (rows, columns))
    height = max(1, BLOCK_SIMILARITIES // (columns * rows * columns))
    distances = []
    for queries, near in zip(tokens.split(height), near_rows.split(height), strict=True):
        excluded = near[:, None, :, None] & near_columns[None, :, None, :]  # [query row, query column, row, column]
        cosines = queries.flatten(0, 1) @ tokens.flatten(0, 1).T
        cosines.masked_fill_(excluded.reshape(cosines.shape), -torch.inf)
        distances.append(cosine_distance(_largest(cosines, k)).mean(dim=1))
    return torch.cat(distances).reshape(rows, columns)


def fewest_candidates(rows: int, columns: int, exclusion_radius: int) -> int:
    """Number of patches beyond the exclusion radius of the patch in the middle, which has the fewest."""
    side = 2 * exclusion_radius + 1
    return rows * columns - min(rows, side) * min(columns, side)


def _near(size: int, radius: int) -> torch.Tensor:
    """Which positions along an axis are at most ``radius`` apart, bool ``[size, size]``."""
    position = torch.arange(size)
    return (position[:, None] - position).abs() <= radius


def _largest(values: torch.Tensor, k: int) -> torch.Tensor:
    """The ``k`` largest of each row, or all if there are fewer."""
    if k == 1:
        return values.amax(dim=1, keepdim=True)
    return values.topk(min(k, values.shape[1]), dim=1, sorted=False).values
