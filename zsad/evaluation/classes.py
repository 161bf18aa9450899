"""Metrics of a classifier of defect types against the ground truth: predictions, prediction sets, abstentions.

**Measured** are the images whose true kind was shown to the classifier. Images of an **unknown** kind, which was not
shown, cannot be predicted correctly: they count in ``unknown_abstained`` and in rows of their own of the confusion
matrix, and in nothing else. An image without a label counts in nothing, unless no image has one: then there is no
ground truth to measure against, and ``set_size``, ``singletons`` and ``abstained`` are of all images.

The most probable kind of an image is its prediction, whether or not its set is empty. All metrics follow from counts
that are added up over images, so that those of a bootstrap replicate need only the weights of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack

from zsad.evaluation.bootstrap import Replicates, Sampler, compute_replicates
from zsad.evaluation.ranking import share

UNLABELLED = -1
NEVER = -2
BY_KIND = "coverage_by_kind"


class Answers(NamedTuple):
    """Answers of a classifier for one sample of its examples, with the ground truth.

    Attributes:
        true_kind: int ``[image]``, the true kind: shown ones first, in their order, then others; `UNLABELLED` where it
            is not known.
        predicted: int ``[image]``, the most probable of the kinds that were shown; of queries alone.
        in_set: bool ``[image, kind]``, the prediction set; an empty one is an abstention.
        is_query: bool ``[image]``; no other image counts.
    """

    true_kind: np.ndarray
    predicted: np.ndarray
    in_set: np.ndarray
    is_query: np.ndarray


class ClassCounts(NamedTuple):
    """Counts that the metrics follow from, added up over images.

    Attributes:
        confusion: ``[..., true kind, kind]``, images by true and predicted kind; true kinds that were not shown come
            after those that were.
        covered: ``[..., kind]``, measured images whose set has their kind.
        is_there: bool ``[..., kind]``, whether any measured image is of the kind, sampled or not.
        majority: ``[...]``, images of the kind that is the most frequent one among all measured images.
        unknown_abstained: ``[...]``, images of unknown kinds with an empty set.
        answered: ``[...]``, images whose sets count; the following attributes are of these.
        kinds_in_sets: ``[...]``, kinds in their sets.
        singletons: ``[...]``, sets of one kind.
        right_singletons: ``[...]``, sets of the true kind alone.
        abstained: ``[...]``, empty sets.
    """

    confusion: np.ndarray
    covered: np.ndarray
    is_there: np.ndarray
    majority: np.ndarray
    unknown_abstained: np.ndarray
    answered: np.ndarray
    kinds_in_sets: np.ndarray
    singletons: np.ndarray
    right_singletons: np.ndarray
    abstained: np.ndarray


class ImageCounts:
    """Contributions of each image to the counts for one sample of examples, as a sparse matrix.

    Args:
        true_kinds: how many kinds there are, with those that were not shown.
        is_labelled: whether the kind of any query of any sample is known.
    """

    def __init__(self, answers: Answers, true_kinds: int, *, is_labelled: bool) -> None:
        true_kind, predicted, in_set, is_query = answers
        kinds = in_set.shape[1]
        sizes = in_set.sum(axis=1)
        is_measured = is_query & (true_kind >= 0) & (true_kind < kinds)
        is_answered = is_measured if is_labelled else is_query
        is_covered = is_measured & in_set[np.arange(len(true_kind)), np.where(is_measured, true_kind, 0)]
        self._shape = (true_kinds, kinds)
        frequencies = np.bincount(true_kind[is_measured], minlength=kinds)
        self._is_there = frequencies > 0
        self._matrix = vstack(
            [
                _one_each(true_kind * kinds + predicted, is_query & (true_kind >= 0), true_kinds * kinds),
                _one_each(true_kind, is_covered, kinds),
                csr_array(
                    [
                        is_measured & (true_kind == frequencies.argmax()),
                        is_query & (true_kind >= kinds) & (sizes == 0),
                        is_answered,
                        np.where(is_answered, sizes, 0),
                        is_answered & (sizes == 1),
                        is_covered & (sizes == 1),
                        is_answered & (sizes == 0),
                    ],
                    dtype=np.float64,
                ),
            ],
            format="csr",
        )

    def added(self, weights: np.ndarray) -> ClassCounts:
        """The counts ``[replicate, ...]`` of images that are weighted ``[replicate, image]``."""
        true_kinds, kinds = self._shape
        counts = (self._matrix @ weights.T).T
        confusion, covered, others = np.split(counts, [true_kinds * kinds, true_kinds * kinds + kinds], axis=1)
        is_there = np.broadcast_to(self._is_there, covered.shape)
        return ClassCounts(confusion.reshape(len(weights), true_kinds, kinds), covered, is_there, *others.T)

    def total(self) -> ClassCounts:
        """The counts of all images."""
        every = self.added(np.ones((1, self._matrix.shape[1])))
        return ClassCounts(*(counts[0] for counts in every))


def class_metrics(counts: ClassCounts) -> dict[str, np.ndarray]:
    """The metrics ``[...]`` of added counts, by the names of `zsad.names.CLASSIFICATION_METRICS`; NaN over no image.

    Accuracy, balanced accuracy and macro-F1 are those of scikit-learn: ``balanced_accuracy_score``, the mean recall
    over the kinds that have measured images, and ``f1_score`` with ``average="macro"``, as ``labels`` the kinds that
    were shown and ``zero_division=0``, so that a kind without images counts 0. But a kind whose images are all absent
    from the replicate is left out of macro-F1, as it is of balanced accuracy.
    """
    kinds = counts.confusion.shape[-1]
    confusion = counts.confusion[..., :kinds, :]
    right, true = np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1)
    measured = true.sum(axis=-1)
    unknown = counts.confusion[..., kinds:, :].sum(axis=(-2, -1))
    is_measured = measured > 0
    f1 = share(2 * right, true + confusion.sum(axis=-2))
    is_averaged = (true > 0) | ~counts.is_there
    return {
        "accuracy": _known_share(right.sum(axis=-1), measured),
        "balanced_accuracy": _known_share(share(right, true).sum(axis=-1), (true > 0).sum(axis=-1)),
        "macro_f1": _known_share(f1.sum(axis=-1), np.where(is_measured, is_averaged.sum(axis=-1), 0)),
        "majority": _known_share(counts.majority, measured),
        "coverage": _known_share(counts.covered.sum(axis=-1), measured),
        "set_size": _known_share(counts.kinds_in_sets, counts.answered),
        "singletons": _known_share(counts.singletons, counts.answered),
        "singleton_accuracy": _known_share(counts.right_singletons, np.where(is_measured, counts.singletons, 0)),
        "abstained": _known_share(counts.abstained, counts.answered),
        "unknown_abstained": _known_share(counts.unknown_abstained, unknown),
    }


def coverage_by_kind(counts: ClassCounts) -> np.ndarray:
    """The share ``[..., kind]`` of the images of each kind whose set has it; NaN where there are none."""
    kinds = counts.covered.shape[-1]
    return _known_share(counts.covered, counts.confusion[..., :kinds, :].sum(axis=-1))


def mean_over_seeds(values: Sequence[np.ndarray]) -> np.ndarray:
    """The mean ``[...]`` of a metric ``[...]`` of each seed over those seeds in which it is measured; NaN in none."""
    stacked = np.stack(values)
    known = ~np.isnan(stacked)
    return _known_share(np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0))


def deviation_over_seeds(values: Sequence[np.ndarray]) -> np.ndarray:
    """The sample standard deviation ``[...]`` likewise; NaN where fewer than two seeds have the metric."""
    stacked = np.stack(values)
    counts = (~np.isnan(stacked)).sum(axis=0)
    squares = np.nansum((stacked - mean_over_seeds(values)) ** 2, axis=0)
    deviations: np.ndarray = np.sqrt(_known_share(squares, counts - 1))
    return deviations


def resampled_means(groups: Sequence[Sequence[ImageCounts]], strata: np.ndarray, sampler: Sampler) -> Replicates:
    """The metrics of resampled images, each the mean over the seeds of a group of samples of examples.

    An image has the same weight in every sample of examples in which it is a query: a replicate stands for other test
    images with the same examples, and two seeds have mostly the same queries. Images of each true kind are sampled
    separately, as normal and defective ones are elsewhere.

    Args:
        groups: e.g. for each number of shots the sample of each seed.
        strata: int ``[image]``, equal for images that are sampled together; `NEVER` for those that are never a query.

    Returns:
        ``[replicate, group]`` of each metric, and of `BY_KIND` ``[replicate, group, kind]``; empty without replicates.
    """
    if not sampler.replicates:
        return {}

    def means(weights: np.ndarray) -> Replicates:
        measured = [[measure(counts.added(weights)) for counts in group] for group in groups]
        return {
            name: np.stack([mean_over_seeds([seed[name] for seed in group]) for group in measured], axis=1)
            for name in measured[0][0]
        }

    kinds = [strata == stratum for stratum in np.unique(strata[strata != NEVER])]
    return compute_replicates(means, sampler.stratified(kinds))


def measure(counts: ClassCounts) -> Replicates:
    """All of `class_metrics`, and under `BY_KIND` `coverage_by_kind`."""
    return {**class_metrics(counts), BY_KIND: coverage_by_kind(counts)}


def _one_each(rows: np.ndarray, chosen: np.ndarray, count: int) -> csr_array:
    """``[row, image]`` with a 1 in one row of each chosen image."""
    images = np.flatnonzero(chosen)
    return csr_array((np.ones(len(images)), (rows[images], images)), shape=(count, len(chosen)))


def _known_share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, element by element; NaN over nothing."""
    return np.where(whole > 0, share(part, whole), np.nan)
