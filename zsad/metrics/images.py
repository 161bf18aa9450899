"""Metrics of image scores and of decisions about images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from zsad.errors import ArrayError
from zsad.evaluation.bootstrap import Interval, Sampler, count_replicates, image_replicates, interval
from zsad.evaluation.curves import Curve, precision_recall_curve, roc_curve
from zsad.evaluation.decisions import decision_counts
from zsad.evaluation.decisions import decision_metrics as metrics_of_counts
from zsad.evaluation.measured import RATIO_OF_DECISIONS, Measured
from zsad.evaluation.options import MIN_REPLICATES
from zsad.evaluation.ranking import Ranking, auroc, average_precision, f1_max, rank_scores
from zsad.metrics.arrays import flags_of_images, image_arrays, require_as_many, require_both

METRICS: dict[str, Callable[[Ranking], np.ndarray]] = {
    "image_auroc": auroc,
    "image_ap": average_precision,
    "image_f1max": f1_max,
}


def image_auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """The chance that a defective image scores higher than a normal one, a tie counting one half.

    Args:
        scores: ``[image]``, finite.
        labels: ``[image]``, 1 or True for a defective image, 0 or False for a normal one.

    Returns:
        The area under the ROC curve, in 0..1.

    Raises:
        ArrayError: the arrays are anything else, or all images are normal, or all defective.

    >>> image_auroc([0.2, 0.7, 0.5, 0.9], [0, 0, 1, 1])
    0.75
    """
    return float(auroc(_ranked(scores, labels)))


def image_ap(scores: ArrayLike, labels: ArrayLike) -> float:
    """Average precision: the precision at each score, weighted by the recall gained there; see `image_auroc`.

    >>> round(image_ap([0.2, 0.7, 0.5, 0.9], [0, 0, 1, 1]), 4)
    0.8333
    """
    return float(average_precision(_ranked(scores, labels)))


def image_f1_max(scores: ArrayLike, labels: ArrayLike) -> float:
    """The greatest F1 over all thresholds, chosen by the labels: an upper bound for users; see `image_auroc`.

    >>> image_f1_max([0.2, 0.7, 0.5, 0.9], [0, 0, 1, 1])
    0.8
    """
    return float(f1_max(_ranked(scores, labels)))


def image_metrics(scores: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """The three above, by their columns in ``metrics.csv``; see `image_auroc`.

    >>> image_metrics([0.1, 0.2, 0.8], [0, 0, 1])
    {'image_auroc': 1.0, 'image_ap': 1.0, 'image_f1max': 1.0}
    """
    ranking = _ranked(scores, labels)
    return {name: float(metric(ranking)) for name, metric in METRICS.items()}


def image_limits(
    scores: ArrayLike, labels: ArrayLike, *, draws: int = 1000, seed: int = 0, category: str = ""
) -> dict[str, Interval]:
    """95 % confidence limits of `image_metrics`, by a stratified bootstrap over normal and defective images.

    Args:
        draws: number of bootstrap replicates, 40 or more.
        seed: random seed.
        category: name of the category; with it the replicates equal those of the workflow. Replicates of two categories
            are independent.

    Raises:
        ArrayError: as of `image_auroc`.

    >>> image_limits([0.1, 0.2, 0.3, 0.8, 0.9], [0, 0, 0, 1, 1])["image_auroc"]
    Interval(low=1.0, high=1.0)
    """
    values, flags = image_arrays(scores, labels)
    require_both(flags)
    return limits_of(image_replicates(values, flags, sampler(draws, seed, category)))


def image_curves(scores: ArrayLike, labels: ArrayLike) -> dict[str, Curve]:
    """The curves ``"image_roc"`` and ``"image_pr"``, each with ``x`` and ``y``, ``[point]``; see `image_auroc`.

    >>> image_curves([0.1, 0.2, 0.8], [0, 0, 1])["image_roc"].y.tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    ranking = _ranked(scores, labels)
    return known({"image_roc": roc_curve(ranking), "image_pr": precision_recall_curve(ranking)})


def best_threshold(scores: ArrayLike, labels: ArrayLike) -> float:
    """The highest threshold that makes the F1 of ``scores > threshold`` greatest; see `image_auroc`.

    The labels choose it, so that it must not be applied to the images that are measured.

    >>> scores, labels = np.array([0.2, 0.7, 0.5, 0.9]), np.array([0, 0, 1, 1])
    >>> decision_metrics(scores > best_threshold(scores, labels), labels)["decision_f1"]
    0.8
    """
    values, flags = image_arrays(scores, labels)
    require_both(flags)
    candidates = np.unique(values[flags])[::-1]
    ranking = rank_scores(values[flags], values[~flags])
    found = ranking.true_positives / (ranking.true_positives + ranking.false_positives + ranking.positives)
    return float(np.nextafter(candidates[found.argmax()], values.dtype.type(-np.inf)))


def decision_metrics(decisions: ArrayLike, labels: ArrayLike, *, scores: ArrayLike | None = None) -> dict[str, float]:
    """Metrics of decisions about images.

    Args:
        decisions: ``[image]``, True or 1 for what is called defective, e.g. ``scores > threshold``.
        labels: ``[image]``, 1 or True for a defective image.
        scores: ``[image]``, to rank the images; the decisions may come from elsewhere.

    Returns:
        ``decision_precision``, 0 where nothing is called defective, ``decision_recall``, ``decision_f1``,
        ``decision_accuracy`` and ``decision_fpr``, the share of normal images that are called defective, in 0..1; the
        last is NaN where no image is normal. With scores also ``decision_ratio``, ``decision_f1`` over `image_f1_max`,
        which may exceed 1 if the decisions did not come from the scores.

    Raises:
        ArrayError: the arrays are anything else, or no image is defective, or with scores none is normal.

    >>> found = decision_metrics([0, 1, 1, 1], [0, 0, 1, 1], scores=[0.2, 0.7, 0.5, 0.9])
    >>> found["decision_recall"], found["decision_fpr"], found["decision_ratio"]
    (1.0, 0.5, 1.0)
    """
    counts, _ = _decided(decisions, labels)
    values = {name: float(value) for name, value in metrics_of_counts(counts.sum(axis=0)).items()}
    if scores is None:
        return values
    both = Measured(values | {"image_f1max": image_f1_max(scores, labels)}, {})
    return {**values, **only_ratio(both, RATIO_OF_DECISIONS).values}


def decision_limits(
    decisions: ArrayLike,
    labels: ArrayLike,
    *,
    scores: ArrayLike | None = None,
    draws: int = 1000,
    seed: int = 0,
    category: str = "",
) -> dict[str, Interval]:
    """95 % confidence limits of `decision_metrics`; arguments as of that and of `image_limits`.

    >>> decision_limits([0, 1, 1, 1], [0, 0, 1, 1])["decision_recall"]
    Interval(low=1.0, high=1.0)
    """
    drawing = sampler(draws, seed, category)
    counts, flags = _decided(decisions, labels)
    drawn = count_replicates(metrics_of_counts, counts, flags, drawing)
    if scores is None:
        return limits_of(drawn)
    decision_metrics(decisions, labels, scores=scores)
    values, _ = image_arrays(scores, labels)
    every = Measured({}, drawn | image_replicates(values, flags, drawing))
    return limits_of(drawn | only_ratio(every, RATIO_OF_DECISIONS).replicates)


def only_ratio(measured: Measured, names: tuple[str, str, str]) -> Measured:
    """The ratio of two metrics alone; ``names``: of the ratio, the numerator, the denominator."""
    both = measured.with_ratio(*names)
    name = names[0]
    return Measured({name: both.values[name]}, {name: both.replicates[name]} if name in both.replicates else {})


def sampler(draws: int, seed: int, category: str) -> Sampler:
    """The sampler of the bootstrap.

    Raises:
        ArrayError: too few replicates for limits, or a negative seed.
    """
    if draws < MIN_REPLICATES or seed < 0:
        raise ArrayError(
            f"95 % confidence limits need at least {MIN_REPLICATES} replicates and a seed of at least 0, not {draws} "
            f"and {seed}"
        )
    return Sampler(draws, seed, category)


def limits_of(drawn: dict[str, np.ndarray]) -> dict[str, Interval]:
    """95 % limits of each metric from its replicates."""
    return {name: interval(values) for name, values in drawn.items()}


def known(curves: dict[str, Curve | None]) -> dict[str, Curve]:
    """The curves that are defined."""
    return {name: curve for name, curve in curves.items() if curve is not None}


def _decided(decisions: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The counts of each image, ``[image, 4]``, and which are defective, bool ``[image]``."""
    decided, flags = flags_of_images(decisions, "decision"), flags_of_images(labels, "label")
    require_as_many(decided, "decisions", flags, "labels")
    if not flags.any():
        raise ArrayError(
            f"none of the {len(flags)} images is defective, so there is nothing to find; give a defective one"
        )
    return decision_counts(decided, flags), flags


def _ranked(scores: ArrayLike, labels: ArrayLike) -> Ranking:
    values, flags = image_arrays(scores, labels)
    require_both(flags)
    return rank_scores(values[flags], values[~flags])
