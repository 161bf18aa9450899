"""A few vectors that stand for many: the greedy coreset of PatchCore."""

from __future__ import annotations

import numpy as np

from zsad.lazy import torch
from zsad.scoring.similarity import Metric

SAME = 1e-6  # distance of equal vectors, but for rounding
CANDIDATES = 1024  # vectors among which the next ones are looked for before the distances of all are renewed


def greedy_coreset(points: torch.Tensor, count: int, metric: Metric) -> torch.Tensor:
    """Positions of ``count`` vectors, chosen so that each vector is near a chosen one.

    Farthest-point selection (PatchCore: Roth et al., CVPR 2022, algorithm 1; Gonzalez 1985): the next vector is the one
    whose nearest chosen one is farthest away. The first is the one farthest from the centre of all.

    Chosen one by one, each vector costs a pass over all others, which waits for memory. Distances to the nearest chosen
    one only ever shrink, though: as long as the farthest of some candidates, with their distances kept up to date, is
    no nearer than every other vector was at the last pass, it is the farthest of all. So many are chosen between two
    passes, and a pass is a matrix product. The result is that of the plain algorithm.

    Args:
        points: right operands of ``metric``, ``[vector, width]``.
        count: at least 1; where fewer vectors differ, no more than these are chosen.

    Returns:
        int64 ``[chosen]``, in the order of choice.
    """
    queries = metric.queries(points)
    gap = _distances_to(queries, _centre(points, metric), metric)
    chosen = [int(gap.argmax())]
    gap = _distances_to(queries, points[chosen], metric)
    while len(chosen) < min(count, len(points)):
        candidates = gap.topk(min(CANDIDATES, len(gap))).indices
        bound = float(gap[candidates[-1]]) if len(candidates) < len(gap) else 0.0
        between = (queries[candidates] @ points[candidates].T).float().clamp_(min=0).cpu().numpy()
        picked = _farthest(gap[candidates].cpu().numpy(), between, bound, count - len(chosen))
        if not picked:
            break
        new = candidates[picked]
        chosen += new.tolist()
        gap = torch.minimum(gap, _distances_to(queries, points[new], metric))
        gap[new] = 0  # in 16 bits rounding could leave a trace
    return torch.tensor(chosen, device=points.device)


def _farthest(gap: np.ndarray, between: np.ndarray, bound: float, count: int) -> list[int]:
    """Farthest-point selection among candidates, as long as the farthest is beyond ``bound``; at least one if any is.

    Args:
        gap: ``[candidate]``, distance to the nearest vector that is chosen already.
        between: ``[candidate, candidate]``, distances among them.
        bound: what every other vector's distance is at most.
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
