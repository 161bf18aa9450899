"""Answers of a classifier for one sample of examples: kinds, probabilities, prediction sets and nearest exemplars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from zsad.classification.base import Classifier
from zsad.classification.calibration import calibrate, choose_fitting_images
from zsad.classification.conformal import Counts, cross_counts, remarks, split_counts
from zsad.classification.options import ConformalOptions, ProbabilityOptions

SAME = 1e-12  # greatest distance of the cosine of two equal vectors from 1


class Labelled(NamedTuple):
    """Labelled images.

    Attributes:
        vectors: their embeddings, float64 ``[image, channel]``, of unit length.
        kinds: int ``[image]``, the kind of each; images of a kind in the order of their ranks.
    """

    vectors: np.ndarray
    kinds: np.ndarray


class Answers(NamedTuple):
    """Answers for some queries; see `zsad.files.classified.Classified`.

    Attributes:
        scores, probabilities, p_values, similarity: float64 ``[query, kind]``.
        in_set: bool ``[query, kind]``.
        nearest: int ``[query, kind]``, positions among the examples.
        remarks: sentences for the reader.
    """

    scores: np.ndarray
    probabilities: np.ndarray
    p_values: np.ndarray
    in_set: np.ndarray
    nearest: np.ndarray
    similarity: np.ndarray
    remarks: list[str]


@dataclass(frozen=True)
class Answering:
    """A classifier with all options that its answers depend on besides the images.

    Attributes:
        kinds: their names.
    """

    classifier: Classifier
    probabilities: ProbabilityOptions
    conformal: ConformalOptions
    kinds: Sequence[str]

    def answers(self, queries: np.ndarray, support: Labelled, calibration: Labelled) -> Answers:
        """Classify queries after learning from the support.

        The nearest exemplars are those of the greatest cosine of the embeddings, for every classifier.

        Args:
            queries: float64 ``[query, channel]``, of unit length.
            support: with at least one example of each kind.
            calibration: images that set thresholds and fit probabilities; may be empty.
        """
        both = np.concatenate([calibration.vectors, queries])
        scored = self.classifier.scores(support.vectors, support.kinds, both, len(self.kinds))
        of_calibration, scores = scored[: len(calibration.vectors)], scored[len(calibration.vectors) :]
        is_fitted = choose_fitting_images(calibration.kinds, self.probabilities, self.conformal)
        curve = calibrate(of_calibration[is_fitted], calibration.kinds[is_fitted], self.probabilities, self.kinds)
        rest = Labelled(of_calibration[~is_fitted], calibration.kinds[~is_fitted])
        counts = self._counts(queries, scores, support, rest)
        nearest, similarity = nearest_exemplars(queries, support, len(self.kinds))
        return Answers(
            scores=scores,
            probabilities=curve(scores),
            p_values=counts.p_values(),
            in_set=counts.in_set(self.conformal.alpha),
            nearest=nearest,
            similarity=similarity,
            remarks=[
                *curve.remarks,
                *remarks(counts, self.kinds, self.conformal.alpha),
                *self._ambiguous(support),
                *_repeated(similarity),
            ],
        )

    def _counts(self, queries: np.ndarray, scores: np.ndarray, support: Labelled, calibration: Labelled) -> Counts:
        """The counts that decide the prediction sets; the vectors of ``calibration`` are scores."""
        if self.conformal.sets == "split":
            return split_counts(calibration.vectors, calibration.kinds, scores, self.conformal, self.probabilities)
        return cross_counts(
            self.classifier,
            support.vectors,
            support.kinds,
            queries,
            len(self.kinds),
            self.conformal,
            self.probabilities,
        )

    def _ambiguous(self, support: Labelled) -> list[str]:
        """A sentence naming kinds whose examples equal an example of another kind; none if there are none."""
        kinds_of = defaultdict[bytes, set[int]](set)  # by embedding: that of a copy is equal to the last bit
        for vector, kind in zip(support.vectors, support.kinds.tolist(), strict=True):
            kinds_of[vector.tobytes()].add(kind)
        pairs = sorted({pair for kinds in kinds_of.values() for pair in combinations(sorted(kinds), 2)})
        named = [f"{self.kinds[one]} and {self.kinds[other]}" for one, other in pairs]
        return [f"Examples of different kinds have the same embedding: {', '.join(named)}."] if named else []


def nearest_exemplars(queries: np.ndarray, support: Labelled, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The example of each kind that is most similar to each query, and its cosine; the first of several.

    Returns:
        int ``[query, kind]``, positions among the examples, and float64 ``[query, kind]`` in ``[-1, 1]``.
    """
    cosines = np.clip(queries @ support.vectors.T, -1, 1)
    nearest = np.empty((len(queries), count), np.intp)
    for kind in range(count):
        of_kind = np.flatnonzero(support.kinds == kind)
        nearest[:, kind] = of_kind[cosines[:, of_kind].argmax(axis=1)]
    return nearest, np.take_along_axis(cosines, nearest, axis=1)


def _repeated(similarity: np.ndarray) -> list[str]:
    """A sentence with the number of queries that equal an example; none if there are none."""
    copies = np.count_nonzero((similarity > 1 - SAME).any(axis=1))
    if not copies:
        return []
    images = "1 image to classify has" if copies == 1 else f"{copies} images to classify have"
    return [f"{images} the same embedding as an example, like a copy of it."]
