"""Ranking metrics: how well a score separates positives (anomalous) from negatives (normal).

Greater scores are more anomalous. Every metric is exact, ties included, and follows from one small table, the
`Ranking`: the counts of positives and negatives at or above each distinct positive score. Scores that only negatives
have can be left out: lowering a threshold past one of these only adds false positives. So the negatives, at pixel level
nearly all pixels, are sorted once and never stored as pairs of score and label.

The definitions are those of scikit-learn (``roc_auc_score``, ``average_precision_score``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zsad.errors import DataError


@dataclass(frozen=True)
class Ranking:
    """Counts at thresholds in descending order.

    Arrays may have leading axes, for example one of resamples; the metrics keep them.

    Attributes:
        true_positives: ``[..., threshold]``, positives at or above each threshold.
        false_positives: ``[..., threshold]``, negatives at or above it.
        false_positives_above: ``[..., threshold]``, negatives strictly above it; the difference is tied with positives.
        positives: ``[...]``, all positives.
        negatives: ``[...]``, all negatives.
    """

    true_positives: np.ndarray
    false_positives: np.ndarray
    false_positives_above: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


def rank_scores(positive_scores: np.ndarray, negative_scores: np.ndarray) -> Ranking:
    """Rank two sets of scores, each ``[score]``, against each other.

    Raises:
        DataError: a score is NaN.
    """
    thresholds, tied = np.unique(positive_scores, return_counts=True)
    if thresholds.size and np.isnan(thresholds[-1]):
        raise DataError("a score of a defective image is NaN, which has no rank; score the category again")
    above, from_threshold = negatives_above(np.sort(negative_scores), thresholds)
    return Ranking(
        true_positives=np.cumsum(tied[::-1]),
        false_positives=from_threshold[::-1],
        false_positives_above=above[::-1],
        positives=np.asarray(len(positive_scores)),
        negatives=np.asarray(len(negative_scores)),
    )


def negatives_above(sorted_scores: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many scores lie strictly above, and how many at or above, each threshold.

    Args:
        sorted_scores: ``[score]``, ascending.
        thresholds: ``[threshold]``, ascending, of the same dtype (another one would make NumPy copy the scores).

    Returns:
        Two int64 arrays ``[threshold]``.

    Raises:
        DataError: a score is NaN.
    """
    if sorted_scores.size and np.isnan(sorted_scores[-1]):
        raise DataError("a score is NaN, which has no rank; score the category again")
    above = sorted_scores.size - np.searchsorted(sorted_scores, thresholds, side="right")
    from_threshold = above.copy()
    # Only few thresholds are tied with a score, so that the second search is short.
    tied = np.zeros(0, np.intp)
    if sorted_scores.size:
        tied = np.flatnonzero(sorted_scores.take(-above - 1, mode="wrap") == thresholds)
    from_threshold[tied] = sorted_scores.size - np.searchsorted(sorted_scores, thresholds[tied], side="left")
    return above, from_threshold


def auroc(ranking: Ranking) -> np.ndarray:
    """Area under the ROC curve ``[...]``: the chance that a positive outscores a negative, a tie counting one half.

    NaN if there are no positives or no negatives.
    """
    gained = np.diff(ranking.true_positives, axis=-1, prepend=0)
    lost_to = 0.5 * (ranking.false_positives + ranking.false_positives_above)
    beaten = ranking.negatives[..., None] - lost_to
    with np.errstate(invalid="ignore"):
        return _where_defined(ranking, (gained * beaten).sum(axis=-1) / (ranking.positives * ranking.negatives))


def average_precision(ranking: Ranking) -> np.ndarray:
    """Average precision ``[...]``: precision at each threshold, weighted by the recall gained there, no interpolation.

    NaN if there are no positives or no negatives.
    """
    gained = np.diff(ranking.true_positives, axis=-1, prepend=0)
    with np.errstate(invalid="ignore"):
        return _where_defined(ranking, (gained * precision(ranking)).sum(axis=-1) / ranking.positives)


def f1_max(ranking: Ranking) -> np.ndarray:
    """Greatest F1 ``[...]`` over all thresholds: an oracle, since labels choose the threshold.

    NaN if there are no positives or no negatives.
    """
    with np.errstate(invalid="ignore"):
        f1 = 2.0 * ranking.true_positives
        f1 /= ranking.true_positives + ranking.false_positives + ranking.positives[..., None]
    return _where_defined(ranking, f1.max(axis=-1, initial=0.0))


def iou_max(ranking: Ranking) -> np.ndarray:
    """Greatest intersection over union ``[...]`` over all thresholds, an oracle like `f1_max`, at the same threshold.

    NaN if there are no positives or no negatives.
    """
    return iou_of_f1(f1_max(ranking))


def iou_of_f1(f1: np.ndarray) -> np.ndarray:
    """The intersection over union ``[...]`` of the pixels that have this F1."""
    return f1 / (2.0 - f1)


def precision(ranking: Ranking) -> np.ndarray:
    """Precision ``[..., threshold]``; 0 if nothing lies above the threshold (as may happen in a replicate)."""
    return share(ranking.true_positives, ranking.true_positives + ranking.false_positives)


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, element by element; 0 over nothing."""
    shares: np.ndarray = np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)
    return shares


def _where_defined(ranking: Ranking, values: np.ndarray) -> np.ndarray:
    return np.where((ranking.positives > 0) & (ranking.negatives > 0), values, np.nan)
