"""Classify the defect types of images, with a classifier on embeddings in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from zsad.classification.answers import Answering, Labelled
from zsad.classification.base import Classifier
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.errors import ArrayError, nearest_hint
from zsad.interactive.parts import classifier_named, mapping

EMBEDDING_AXES = 2
FEWEST_KINDS = 2


class NamedKinds(NamedTuple):
    """The predictions of a classifier for some images.

    Attributes:
        names: names of the kinds, sorted; the order of the columns.
        kinds: the most probable kind of each image.
        probabilities: float64 ``[image, kind]``, in ``[0, 1]`` with a sum of 1.
        prediction_sets: the possible kinds of each image; an empty list is an abstention.
        nearest: int ``[image, kind]``, the most similar example of each kind, as its position in the support.
        similarity: float64 ``[image, kind]``, the cosine of the embeddings of image and example.
        scores: float64 ``[image, kind]``, of the classifier; greater is more similar.
        p_values: float64 ``[image, kind]``, which decide whether a kind is in the prediction set, in ``(0, 1]``.
        remarks: sentences for the reader, e.g. that a kind has too few calibration images for alpha.
    """

    names: list[str]
    kinds: list[str]
    probabilities: np.ndarray
    prediction_sets: list[list[str]]
    nearest: np.ndarray
    similarity: np.ndarray
    scores: np.ndarray
    p_values: np.ndarray
    remarks: list[str]


def classify(
    queries: ArrayLike,
    support: ArrayLike,
    kinds: Sequence[str],
    classifier: str | Classifier = "nearest_exemplar",
    params: Mapping[str, Any] | None = None,
    *,
    calibration: ArrayLike | None = None,
    calibration_kinds: Sequence[str] = (),
    probabilities: Mapping[str, Any] | None = None,
    conformal: Mapping[str, Any] | None = None,
) -> NamedKinds:
    """Predict the defect type of each image from labelled examples, as the workflow does with the same embeddings.

    Args:
        queries: the images to classify, an embedding ``[channel]`` each; lengths do not matter.
        support: embeddings of the labelled examples, ``[example, channel]``.
        kinds: the kinds of the examples, in order; ``"good"`` may be one of them.
        classifier: one that ``zsad classifiers`` lists; or your own classifier.
        params: of the classifier.
        calibration: embeddings of further labelled images, which set the thresholds of prediction sets.
        calibration_kinds: the kinds of these images.
        probabilities: as ``probabilities`` of a classifier in ``config.yaml``, e.g. ``{"temperature": 0.05}``.
        conformal: as ``conformal`` there, e.g. ``{"alpha": 0.2}``. Without calibration images, the default of ``sets``
            is ``"cross"``: the support sets the thresholds, each fold of it classified by the rest.

    Raises:
        ArrayError: the embeddings have a wrong form, one is zero or not finite, or kinds and embeddings do not match.
        ConfigError: there is no such classifier or parameter.

    >>> support, kinds = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]], ["crack", "crack", "dent", "dent"]
    >>> found = classify([[2.0, 0.3], [0.3, 1.0]], support, kinds)
    >>> found.names, found.kinds, found.nearest.tolist()
    (['crack', 'dent'], ['crack', 'dent'], [[0, 2], [0, 2]])
    >>> found.prediction_sets  # two examples of a kind are too few for alpha 0.1
    [['crack', 'dent'], ['crack', 'dent']]
    >>> classify([[2.0, 0.1], [-1.0, -1.0]], support, kinds, conformal={"alpha": 0.4}).prediction_sets
    [['crack'], []]
    """
    examples = _unit_rows(support, "the support")
    names = _checked_kinds(kinds, len(examples), "the support")
    channels = examples.shape[1]
    images = _unit_rows(queries, "the queries", channels)
    further = np.empty((0, channels)) if calibration is None else _unit_rows(calibration, "the calibration", channels)
    labels = _labels(calibration_kinds, len(further), "the calibration")
    if odd := next((kind for kind in labels if kind not in names), None):
        raise ArrayError(f"there is a calibration image of '{odd}', but no example of it{nearest_hint(odd, names)}")
    sets = {"sets": "cross" if calibration is None else "split"}
    answering = Answering(
        classifier_named(classifier, params),
        ProbabilityOptions.build(mapping(probabilities, "probabilities"), where="probabilities"),
        ConformalOptions.build({**sets, **mapping(conformal, "conformal")}, where="conformal"),
        names,
    )
    numbers = {kind: number for number, kind in enumerate(names)}
    found = answering.answers(
        images,
        Labelled(examples, np.array([numbers[kind] for kind in kinds], np.intp)),
        Labelled(further, np.array([numbers[kind] for kind in labels], np.intp)),
    )
    return NamedKinds(
        names=names,
        kinds=[names[number] for number in found.probabilities.argmax(axis=1)],
        probabilities=found.probabilities,
        prediction_sets=[[names[number] for number in np.flatnonzero(row)] for row in found.in_set],
        nearest=found.nearest,
        similarity=found.similarity,
        scores=found.scores,
        p_values=found.p_values,
        remarks=found.remarks,
    )


def _unit_rows(given: ArrayLike, whose: str, channels: int | None = None) -> np.ndarray:
    """Embeddings scaled to length one, float64 ``[image, channel]``.

    Args:
        channels: required number of channels; None for any.

    Raises:
        ArrayError: the embeddings have a wrong form, or one has no direction.
    """
    try:
        rows = np.asarray(given)
    except (TypeError, ValueError):
        rows = np.empty(0, dtype=object)
    if rows.ndim != EMBEDDING_AXES or not rows.size or rows.dtype.kind not in "fiu":
        raise ArrayError(
            f"the embeddings of {whose} have type {rows.dtype} and shape {rows.shape}; give numbers [image, channel]"
        )
    if channels is not None and rows.shape[1] != channels:
        raise ArrayError(
            f"the embeddings of {whose} have {rows.shape[1]} channels, but those of the support {channels}; make both "
            "with the same backbone"
        )
    rows = rows.astype(np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if (odd := np.flatnonzero(~(np.isfinite(largest) & (largest > 0)))).size:
        fault = "zero" if largest[odd[0], 0] == 0 else "not finite"
        raise ArrayError(f"embedding {odd[0]} of {whose} is {fault}, so that nothing can be compared with it")
    rows /= largest  # so that no square overflows or underflows
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _checked_kinds(kinds: Sequence[str], count: int, whose: str) -> list[str]:
    """The names of the kinds of examples, sorted.

    Raises:
        ArrayError: see `_labels`; or there is only one kind, or two differ only in capital letters.
    """
    names = sorted(set(_labels(kinds, count, whose)))
    if len(names) < FEWEST_KINDS:
        raise ArrayError(f"all examples are of the kind '{names[0]}'; give examples of two or more kinds")
    alike: dict[str, str] = {}
    for name in names:
        if (other := alike.setdefault(name.casefold(), name)) != name:
            raise ArrayError(
                f"the kinds '{other}' and '{name}' differ only in capital letters; use the same name for both"
            )
    return names


def _labels(kinds: Sequence[str], count: int, whose: str) -> list[str]:
    """The kind of each image.

    Raises:
        ArrayError: they are not names, or their number differs from that of the images.
    """
    given = [kinds] if isinstance(kinds, str) else list(kinds)
    if odd := [kind for kind in given if not isinstance(kind, str) or not kind.strip()]:
        raise ArrayError(f"a kind of {whose} is {odd[0]!r}; give a name, e.g. 'crack'")
    if len(given) != count:
        raise ArrayError(
            f"there are {count} embeddings of {whose}, but {len(given)} kinds; give one kind for each embedding"
        )
    return [str(kind) for kind in given]
