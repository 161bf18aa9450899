"""The curves behind the ranking metrics, thin_out out for plotting."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zsad.evaluation.ranking import Ranking, precision

MAX_POINTS = 400


class Curve(NamedTuple):
    """Points of a curve from left to right, each coordinate ``[point]`` in 0..1."""

    x: np.ndarray
    y: np.ndarray


def roc_curve(ranking: Ranking) -> Curve | None:
    """True-positive rate over false-positive rate; None if there are no positives or no negatives."""
    if not _defined(ranking):
        return None
    return _over_false_positive_rate(ranking, ranking.true_positives / ranking.positives)


def precision_recall_curve(ranking: Ranking) -> Curve | None:
    """Precision over recall, begun at recall 0 with the first precision; None if one class is missing."""
    if not _defined(ranking):
        return None
    recall, height = ranking.true_positives / ranking.positives, precision(ranking)
    return Curve(np.concatenate([[0.0], recall]), np.concatenate([height[:1], height]))


def pro_curve(ranking: Ranking, overlap: np.ndarray, limit: float) -> Curve | None:
    """Per-region overlap over false-positive rate, ending at the limit; None if one class is missing.

    Args:
        overlap: ``[threshold]``, as for `zsad.evaluation.aupro.aupro`.
        limit: greatest false-positive rate, in (0, 1].
    """
    if not _defined(ranking):
        return None
    x, y = _over_false_positive_rate(ranking, overlap)
    inside = np.searchsorted(x, limit, side="right")
    if inside == len(x):
        return Curve(x, y)
    share = (limit - x[inside - 1]) / (x[inside] - x[inside - 1])
    at_limit = y[inside - 1] + share * (y[inside] - y[inside - 1])
    return Curve(np.append(x[:inside], limit), np.append(y[:inside], at_limit))


def thin_out(curve: Curve, points: int = MAX_POINTS) -> Curve:
    """At most ``points`` of a curve's own points, its ends included, evenly spaced along its length.

    Length is counted in both directions, each in units of the whole way the curve goes in it, so that both steep and
    flat parts keep enough points.
    """
    if len(curve.x) <= points:
        return curve
    length = _travelled(curve.x) + _travelled(curve.y)
    chosen = np.searchsorted(length, np.linspace(0.0, length[-1], points))
    chosen[0] = 0
    chosen[-1] = len(length) - 1
    chosen = np.unique(chosen)
    return Curve(curve.x[chosen], curve.y[chosen])


def _over_false_positive_rate(ranking: Ranking, height: np.ndarray) -> Curve:
    """Corners of a curve that rises by ``height[threshold]`` in steps, slanted where positives and negatives tie."""
    corners = np.stack([ranking.false_positives_above, ranking.false_positives], axis=-1).ravel()
    heights = np.stack([np.concatenate([[0.0], height[:-1]]), height], axis=-1).ravel()
    return Curve(np.concatenate([[0.0], corners / ranking.negatives, [1.0]]), np.concatenate([[0.0], heights, [1.0]]))


def _travelled(values: np.ndarray) -> np.ndarray:
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(values)))])
    return way / way[-1] if way[-1] > 0 else way


def _defined(ranking: Ranking) -> bool:
    return bool(ranking.positives > 0 and ranking.negatives > 0)
