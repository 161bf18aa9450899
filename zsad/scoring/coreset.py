"""Coresets: a few vectors that represent many; the greedy coreset of PatchCore."""

from __future__ import annotations

import numpy as np

from zsad.lazy import torch
from zsad.scoring.similarity import Metric

SAME = 1e-6  # greatest distance of equal vectors, due to rounding
PROJECTED, STARTS = (
    128,
    10,
)  # of PatchCore's code: channels of the projection, and number of random vectors at the start
CANDIDATES = 1024  # candidates for the next choices before the distances of all are updated


def greedy_coreset(points: torch.Tensor, count: int, metric: Metric, bound: torch.Tensor | None = None) -> torch.Tensor:
    """Positions of ``count`` vectors, chosen so that each vector is near a chosen one.

    Farthest-point selection (PatchCore: Roth et al., CVPR 2022, algorithm 1; Gonzalez 1985): the next vector is the one
    whose nearest chosen one is farthest away. The first is the one farthest from the centre of all.

    The plain algorithm needs a pass over all vectors for each choice, which is limited by memory bandwidth. Distances
    to the nearest chosen vector only shrink: as long as the farthest of some candidates, with current distances, is no
    nearer than every other vector was at the last pass, it is the farthest of all. So several vectors are chosen
    between two passes, and a pass is a matrix product. The result is that of the plain algorithm.

    Args:
        points: right operands of ``metric``, ``[vector, width]``.
        count: at least 1; if fewer vectors are different, only these are chosen.
        bound: ``[vector]``, upper bound of the ``h`` of each vector to its nearest chosen one. The first choice is then
            the vector with the greatest bound, not the one farthest from the centre.

    Returns:
        int64 ``[chosen]``, in the order of choice.
    """
    queries = metric.queries(points)
    gap = _distances_to(queries, _centre(points, metric), metric) if bound is None else bound
    chosen = [int(gap.argmax())]
    nearest = _distances_to(queries, points[chosen], metric)
    gap = nearest if bound is None else torch.minimum(nearest, bound)
    while len(chosen) < min(count, len(points)):
        candidates = gap.topk(min(CANDIDATES, len(gap))).indices
        beyond = float(gap[candidates[-1]]) if len(candidates) < len(gap) else 0.0
        between = (queries[candidates] @ points[candidates].T).float().clamp_(min=0).cpu().numpy()
        picked = _farthest(gap[candidates].cpu().numpy(), between, beyond, count - len(chosen))
        if not picked:
            break
        new = candidates[picked]
        chosen += new.tolist()
        gap = torch.minimum(gap, _distances_to(queries, points[new], metric))
        gap[new] = 0  # in 16 bits rounding could leave a trace
    return torch.tensor(chosen, device=points.device)


def approximate_coreset(points: torch.Tensor, count: int, metric: Metric, seed: int) -> torch.Tensor:
    """The coreset of PatchCore's code, with which its published figures were made.

    Vectors are compared by a random projection to 128 channels (uniform weights; those of 128 channels are compared as
    they are), and the distance to the nearest chosen one counts as no more than the mean distance to 10 random vectors;
    the first is the one with the greatest mean. The authors' random numbers cannot be reproduced, as they depend on the
    state of a generator that their whole run shares.

    Args:
        points: right operands of ``metric``, ``[vector, width]``.
        count: at least 1.
        seed: random seed of the projection and of the random vectors.

    Returns:
        int64 ``[chosen]``, in the order of choice.
    """
    rng = np.random.default_rng(seed)
    vectors = points[:, : metric.channels].float()
    if metric.channels != PROJECTED:
        weights = rng.uniform(-1, 1, (metric.channels, PROJECTED)).astype(np.float32)
        vectors = vectors @ torch.from_numpy(weights).to(vectors.device) * (3 / PROJECTED) ** 0.5  # keeps lengths
    projected = Metric(metric.compute, vectors.mean(dim=0))
    points = projected.points(vectors)
    queries = projected.queries(points)
    starts = rng.choice(len(points), min(STARTS, len(points)), replace=False).tolist()
    to_starts = [_distances_to(queries, points[[start]], projected).mul(2).sqrt() for start in starts]
    return greedy_coreset(points, count, projected, torch.stack(to_starts).mean(dim=0).square() / 2)


def _farthest(gap: np.ndarray, between: np.ndarray, bound: float, count: int) -> list[int]:
    """Farthest-point selection among candidates, as long as the farthest is beyond ``bound``; at least one if any is.

    Args:
        gap: ``[candidate]``, distance to the nearest chosen vector.
        between: ``[candidate, candidate]``, distances among them.
        bound: upper bound of the distance of every other vector.
        count: greatest number to select.
    """
    picked: list[int] = []
    while len(picked) < count:
        farthest = int(gap.argmax())
        if gap[farthest] <= SAME or (picked and gap[farthest] < bound):
            break
        picked.append(farthest)
        gap = np.minimum(gap, between[farthest])
        gap[farthest] = 0
    return picked


def _centre(points: torch.Tensor, metric: Metric) -> torch.Tensor:
    """The mean of all vectors as a right operand."""
    return metric.points_of(points[:, : metric.channels].float().mean(dim=0)[None])


def _distances_to(queries: torch.Tensor, points: torch.Tensor, metric: Metric) -> torch.Tensor:
    """``h`` of each query to its nearest point, float32 ``[query]``."""
    return metric.nearest(queries, points)[:, 0]
