"""Prediction sets: the possible kinds of an image, which include the true one at a given rate.

Sort the labelled images of a kind and a new image of that kind by nonconformity: for any classifier, the new image has
every rank with the same probability, if all come from the same source: so the kind may be ruled out where the rank is
among the last ``alpha (n + 1)`` of ``n + 1`` (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World",
2005; for each kind by itself, "Mondrian", section 4.5). This holds exactly, on average over samples of the labelled
images, for any number of them; with fewer than ``1 / alpha - 1`` no kind is ever ruled out. An empty set is an
abstention: the image is unlike the images of every kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from zsad.classification.base import Classifier
from zsad.classification.options import ConformalOptions, ProbabilityOptions

ROUNDING = 1e-12  # relative to the original numbers: a smaller difference counts as equal
NOUNS = {"split": "calibration images", "cross": "examples"}


@dataclass(frozen=True)
class Counts:
    """Integer counts that decide which kinds are in the prediction sets.

    Attributes:
        counts: int ``[query, kind]``, number of labelled images that are at least as dissimilar to their own kind as
            the query is to this kind.
        sizes: int ``[kind]``, number of labelled images compared.
        sets: whether they are calibration images (``"split"``) or examples (``"cross"``).
        by_kind: whether each kind is counted separately.
        besides: whether further images fit the probabilities.
    """

    counts: np.ndarray
    sizes: np.ndarray
    sets: Literal["split", "cross"]
    by_kind: bool
    besides: bool

    def p_values(self) -> np.ndarray:
        """float64 ``[query, kind]`` in ``(0, 1]``: p-value of the query as an image of the kind."""
        p_values: np.ndarray = (self.counts + 1) / (self.sizes + 1)
        return p_values

    def in_set(self, alpha: float) -> np.ndarray:
        """The kinds in the set of each query, bool ``[query, kind]``: those whose p-value exceeds ``alpha``.

        Exactly: a rank that equals ``alpha (n + 1)`` is not mistaken for a greater one by rounding.
        """
        fewest = [math.floor(Fraction(str(float(alpha))) * (int(size) + 1)) for size in self.sizes]
        is_in_set: np.ndarray = self.counts >= np.array(fewest)
        return is_in_set


def fewest_images(alpha: float) -> int:
    """The fewest images with which a kind can be ruled out: ``1 / (n + 1)`` is at most ``alpha``."""
    return math.ceil(1 / Fraction(str(float(alpha)))) - 1


def remarks(counts: Counts, kinds: Sequence[str], alpha: float) -> list[str]:
    """Remarks on kinds that are in every set because there are too few images of them.

    Args:
        kinds: their names.

    Returns:
        Sentences with their full stops; none if every kind can be ruled out.
    """
    fewest = fewest_images(alpha)
    short = {kind: int(size) for kind, size in zip(kinds, counts.sizes, strict=True) if size < fewest}
    alone = [kind for kind, size in short.items() if not size] if counts.sets == "cross" else []
    told = [
        f"No prediction set rules out {kind}: its only example cannot be compared with others of the kind."
        for kind in alone
    ]
    few = {kind: size for kind, size in short.items() if kind not in alone}
    if few:
        of = f"{NOUNS[counts.sets]}{' of the kind' if counts.by_kind else ''}"
        told.append(
            f"No prediction set rules out {', '.join(few)}: at alpha {alpha:g} that takes at least {fewest} {of}"
            f"{', besides those that fit the probabilities' if counts.besides else ''}, "
            f"and there are {_there(few, counts)}."
        )
    return told


def _there(few: dict[str, int], counts: Counts) -> str:
    """How many images there are, e.g. ``"5 of crack, none of break"``; of all kinds together, ``"5"``."""
    if counts.by_kind:
        return ", ".join(f"{size or 'none'} of {kind}" for kind, size in few.items())
    return str(next(iter(few.values())) or "none")


def nonconformity(scores: np.ndarray, options: ConformalOptions, probabilities: ProbabilityOptions) -> np.ndarray:
    """Nonconformity of an image with each kind, float64 ``[image, kind]``, from its scores ``[image, kind]``.

    By probability it is ``log((1 - p) / p)``, which orders images as ``1 - p`` does and does not run out of digits
    where ``p`` is near 1. ``p`` is the softmax at the configured temperature, which is not fitted to any image. By
    score it is the score with the sign changed.
    """
    if options.by == "score":
        return -scores
    with np.errstate(over="ignore", divide="ignore"):
        logits = (scores - scores.max(axis=1, keepdims=True)) / probabilities.temperature
        others = np.exp(logits) @ (1 - np.eye(scores.shape[1]))
        odds: np.ndarray = np.log(others) - logits
    return odds


def split_counts(
    calibration_scores: np.ndarray,
    calibration_kinds: np.ndarray,
    query_scores: np.ndarray,
    options: ConformalOptions,
    probabilities: ProbabilityOptions,
) -> Counts:
    """Counts from calibration images, which neither the classifier nor the probabilities were fitted to.

    Args:
        calibration_scores: float64 ``[calibration image, kind]``; may be empty.
        calibration_kinds: int ``[calibration image]``.
        query_scores: float64 ``[query, kind]``.
    """
    by_kind, kinds = options.thresholds == "kind", query_scores.shape[1]
    own = nonconformity(calibration_scores, options, probabilities)[
        np.arange(len(calibration_kinds)), calibration_kinds
    ]
    least = _least(query_scores, options, probabilities)
    compared = [np.sort(own[calibration_kinds == kind] if by_kind else own) for kind in range(kinds)]
    counts = [len(values) - np.searchsorted(values, least[:, kind]) for kind, values in enumerate(compared)]
    sizes = np.array([len(values) for values in compared])
    return Counts(np.stack(counts, axis=1), sizes, "split", by_kind, besides=probabilities.calibrated != "none")


def cross_counts(
    classifier: Classifier,
    support: np.ndarray,
    kinds: np.ndarray,
    queries: np.ndarray,
    count: int,
    options: ConformalOptions,
    probabilities: ProbabilityOptions,
) -> Counts:
    """Counts from the examples, each classified after learning from the other folds.

    Cross-conformal prediction (Vovk, Annals of Mathematics and Artificial Intelligence 2015). A rate of about
    ``2 alpha`` is proven (Barber et al. 2021); in practice it is about ``alpha`` or less. An example that is the only
    one of its kind cannot be classified without itself: its kind has no p-value but 1.

    Args:
        support, kinds, queries, count: as in `Classifier.scores`.
    """
    by_kind = options.thresholds == "kind"
    part = folds_of(kinds, options.folds)
    counts = np.zeros((len(queries), count), dtype=np.int64)
    for index in range(part.max(initial=-1) + 1):
        is_held = part == index
        scored = np.concatenate([support[is_held], queries])
        scores = classifier.scores(support[~is_held], kinds[~is_held], scored, count)
        held = np.count_nonzero(is_held)
        counts += split_counts(scores[:held], kinds[is_held], scores[held:], options, probabilities).counts
    compared = np.bincount(kinds[part >= 0], minlength=count)
    is_alone = compared == 0
    sizes = compared if by_kind else np.where(is_alone, 0, compared.sum())
    return Counts(np.where(is_alone, 0, counts), sizes, "cross", by_kind, besides=False)


def folds_of(kinds: np.ndarray, folds: int) -> np.ndarray:
    """The fold of each example, int ``[example]`` from 0 to ``folds - 1``: one after the other in every kind.

    So the rest of the examples has one of each kind, whichever fold is left out. An example that is the only one of its
    kind is in no fold, -1.
    """
    part = np.full(len(kinds), -1)
    for kind in np.unique(kinds):
        of_kind = np.flatnonzero(kinds == kind)
        if len(of_kind) > 1:
            part[of_kind] = np.arange(len(of_kind)) % folds
    return part


def _least(scores: np.ndarray, options: ConformalOptions, probabilities: ProbabilityOptions) -> np.ndarray:
    """The least score that counts as at least as dissimilar as a query, float64 ``[query, kind]``.

    The rounding of a row in a matrix product depends on the other rows. Values that differ by less count as ties, so
    that copies of one image never rule out a kind.
    """
    unlike = nonconformity(scores, options, probabilities)
    made_of = np.abs(scores).max(axis=1, keepdims=True)
    if options.by == "probability":
        with np.errstate(over="ignore"):
            made_of = 1 + made_of / probabilities.temperature
    least: np.ndarray = unlike - np.minimum(ROUNDING * made_of, np.finfo(np.float64).max)
    return least
