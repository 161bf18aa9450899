"""Patterns that repeat in a batch: patches whose distances jump after a few neighbours, and scores without these."""

from __future__ import annotations

import math

import numpy as np

from zsad.lazy import torch

REFERENCE_RANK = 0.75  # of the other images; beyond it, images that differ from all others stretch the distances


def suspicious_links(distances: torch.Tensor, false_alarms: float, least: float) -> torch.Tensor:
    """The images that share a repeated pattern with a patch: bool ``[patch, other image]``, none for most patches.

    With ``d_1 <= d_2 <= ...`` the sorted distances of a patch, each divided by the median that the patches of its image
    have to the same other image, similarity scaling says that the growths ``g_i = i ln(d_{i+1} / d_i)`` are independent
    with the same exponential distribution, of any mean. A patch is suspicious if one growth ``g_k`` is too great a
    share of their sum up to the reference rank, by the bound of Fisher's test; its links are the ``k`` images before
    that jump. Only those ``k`` count for which the pattern is in at most half of the images.

    Args:
        distances: ``[patch, other image]`` of one image, in any unit; powers of them give the same links.
        false_alarms: expected number of suspicious patches of an image if the law holds.
        least: distances below it are rounding noise and count as equal to it.
    """
    patches, others = distances.shape
    candidates = (others + 1) // 2 - 1
    growths = int(REFERENCE_RANK * others) - 1
    if candidates < 1:
        return torch.zeros_like(distances, dtype=torch.bool)
    logs = distances.clamp(min=least).log()
    logs = logs - logs.median(dim=0).values
    ascending = logs.sort(dim=1).values
    ranks = torch.arange(1, growths + 1, device=logs.device)
    growth = ranks * ascending[:, : growths + 1].diff(dim=1)
    greatest, jump = growth[:, :candidates].max(dim=1)
    rest = (1 - greatest / growth.sum(dim=1)).clamp(min=torch.finfo(logs.dtype).tiny)  # NaN if nothing grows
    chance = math.log(candidates) + (growths - 1) * rest.log()
    suspicious = chance + math.log(patches) < math.log(false_alarms)
    return suspicious[:, None] & (logs <= ascending.gather(1, jump[:, None]))


def mean_of_the_rest(distances: np.ndarray, left_out: np.ndarray, interval: tuple[float, float]) -> np.ndarray:
    """Mean of each row's sorted values from one share of them to another, some left out: float64 ``[row]``.

    Args:
        distances: ``[row, other image]``.
        left_out: bool, of the same shape; at least one of each row is not left out.
        interval: the two shares, of those that are not left out; at least one value is averaged.
    """
    ascending = np.sort(np.where(left_out, np.inf, distances.astype(np.float64)), axis=1)
    count = (~left_out).sum(axis=1)
    start = np.minimum((interval[0] * count).astype(int), count - 1)
    end = np.maximum(start + 1, (interval[1] * count).astype(int))
    rank = np.arange(distances.shape[1])
    inside = (rank >= start[:, None]) & (rank < end[:, None])
    means: np.ndarray = np.where(inside, ascending, 0).sum(axis=1) / (end - start)
    return means
