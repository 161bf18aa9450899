"""Defect types from embeddings in memory, and from files by the name of the image."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zsad
from zsad.classification.nearest_exemplar import NearestExemplar
from zsad.errors import ArrayError, ConfigError, DataError
from zsad.files.classified import QUERY, SUPPORT, Classified, ClassifiedWriter, DrawInfo, Exemplar

KINDS = ["dent", "crack", "good", "crack", "dent", "good"]
NAMES = ["crack", "dent", "good"]
RNG = np.random.default_rng(0)
SUPPORT_ROWS = RNG.normal(size=(6, 5))
QUERIES = RNG.normal(size=(4, 5))
FURTHER = RNG.normal(size=(9, 5))
FURTHER_KINDS = NAMES * 3


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    product = sum(float(a) * float(b) for a, b in zip(one, other, strict=True))
    return product / math.sqrt(sum(float(a) ** 2 for a in one) * sum(float(b) ** 2 for b in other))


def test_the_answers_are_those_of_plain_loops_over_images_and_examples() -> None:
    conformal = {"alpha": 0.3, "thresholds": "all", "by": "score"}
    found = zsad.classify(
        QUERIES, SUPPORT_ROWS, KINDS, calibration=FURTHER, calibration_kinds=FURTHER_KINDS, conformal=conformal
    )
    assert found.names == NAMES

    def nearest(image: np.ndarray, kind: str) -> tuple[float, int]:
        places = [place for place, one in enumerate(KINDS) if one == kind]
        return max((cosine(image, SUPPORT_ROWS[place]), place) for place in places)

    for index, image in enumerate(QUERIES):
        likeness = [nearest(image, kind)[0] for kind in NAMES]
        chances = np.exp(likeness) / np.exp(likeness).sum()
        np.testing.assert_allclose(found.scores[index], likeness, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.similarity[index], likeness, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.probabilities[index], chances, rtol=0, atol=1e-12)
        assert found.nearest[index].tolist() == [nearest(image, kind)[1] for kind in NAMES]
        assert found.kinds[index] == NAMES[int(np.argmax(likeness))]
        own = [nearest(one, kind)[0] for one, kind in zip(FURTHER, FURTHER_KINDS, strict=True)]
        p_values = [(sum(value <= like for value in own) + 1) / 10 for like in likeness]
        np.testing.assert_allclose(found.p_values[index], p_values, rtol=0, atol=1e-12)
        assert found.prediction_sets[index] == [kind for kind, p in zip(NAMES, p_values, strict=True) if p > 0.3]


def test_lengths_of_embeddings_do_not_matter_however_large_or_small() -> None:
    plain = zsad.classify(QUERIES, SUPPORT_ROWS, KINDS)
    for factor in (1e-300, 1e300):
        scaled = zsad.classify(QUERIES * factor, SUPPORT_ROWS.astype(np.float32), KINDS)
        np.testing.assert_allclose(scaled.scores, plain.scores, rtol=0, atol=1e-6)
    halves = zsad.classify(np.float16([[300, 400], [1, 0]]), np.int32([[3, 4], [0, -5]]), ["a", "b"])
    np.testing.assert_allclose(halves.scores[0], [1, -0.8], rtol=0, atol=1e-12)


def test_without_calibration_images_the_examples_set_the_thresholds() -> None:
    across = zsad.classify(QUERIES, SUPPORT_ROWS, KINDS, conformal={"alpha": 0.4})
    given = zsad.classify(QUERIES, SUPPORT_ROWS, KINDS, conformal={"alpha": 0.4, "sets": "cross"})
    np.testing.assert_array_equal(across.p_values, given.p_values)
    assert np.isin(across.p_values * 3, [1, 2, 3]).all()
    none = zsad.classify(QUERIES, SUPPORT_ROWS, KINDS, conformal={"alpha": 0.4, "sets": "split"})
    assert none.prediction_sets == [NAMES] * 4
    assert len(none.remarks) == 1


@pytest.mark.parametrize("name", ["nearest_exemplar", "prototype", "cache", "ridge"])
def test_every_classifier_is_had_by_its_name(name: str) -> None:
    found = zsad.classify(SUPPORT_ROWS, SUPPORT_ROWS, KINDS, name)
    assert found.nearest[np.arange(6), [NAMES.index(kind) for kind in KINDS]].tolist() == list(range(6))


def test_a_classifier_may_be_made_already() -> None:
    class Opposite(NearestExemplar):
        def _scores(self, *given: Any) -> np.ndarray:
            return -super()._scores(*given)

    found = zsad.classify(QUERIES, SUPPORT_ROWS, KINDS, Opposite())
    plain = zsad.classify(QUERIES, SUPPORT_ROWS, KINDS)
    np.testing.assert_array_equal(found.scores, -plain.scores)
    np.testing.assert_array_equal(found.similarity, plain.similarity)
    with pytest.raises(ConfigError, match="classifier object already has its parameters"):
        zsad.classify(QUERIES, SUPPORT_ROWS, KINDS, Opposite(), {"centre": "support"})


def changed(rows: np.ndarray, value: float) -> np.ndarray:
    rows = rows.copy()
    rows[2] = value
    return rows


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a zero embedding": ({"queries": changed(QUERIES, 0)}, "embedding 2 of the queries is zero"),
    "an embedding that is not finite": ({"support": changed(SUPPORT_ROWS, np.nan)}, "2 of the support is not finite"),
    "an infinite embedding": ({"calibration": changed(FURTHER, np.inf)}, "2 of the calibration is not finite"),
    "one embedding": ({"queries": QUERIES[0]}, "the queries have type float64 and shape (5,); give numbers"),
    "no embeddings": ({"queries": QUERIES[:0]}, "the queries have type float64 and shape (0, 5)"),
    "rows of several lengths": ({"support": [[1.0], [1.0, 2.0]]}, "the support have type object"),
    "words": ({"queries": [["a", "b"]]}, "the queries have type <U1 and shape (1, 2)"),
    "truth values": ({"queries": QUERIES > 0}, "the queries have type bool"),
    "other channels": ({"queries": QUERIES[:, :3]}, "have 3 channels, but those of the support 5; make both"),
    "one kind alone": (
        {"kinds": ["dent"] * 6},
        "all examples are of the kind 'dent'; give examples of two",
    ),
    "a kind less": ({"kinds": KINDS[1:]}, "there are 6 embeddings of the support, but 5 kinds"),
    "a word for kinds": ({"kinds": "dent"}, "there are 6 embeddings of the support, but 1 kinds"),
    "kinds that are numbers": ({"kinds": [0, 1, 2, 1, 0, 2]}, "a kind of the support is 0; give a name"),
    "a kind without a name": ({"kinds": [" ", *KINDS[1:]]}, "a kind of the support is ' '; give a name"),
    "kinds alike": ({"kinds": ["Crack", *KINDS[1:]]}, "the kinds 'Crack' and 'crack' differ only in capital letters"),
    "no kinds of calibration images": ({"calibration_kinds": []}, "9 embeddings of the calibration, but 0 kinds"),
    "kinds of calibration images alone": ({"calibration": None}, "0 embeddings of the calibration, but 9 kinds"),
    "another kind": ({"calibration_kinds": ["crak", *FURTHER_KINDS[1:]]}, "of 'crak', but no example of it; did you"),
    "no such classifier": ({"classifier": "nearest"}, "there is no classifier 'nearest'"),
    "no classifier": ({"classifier": 3}, "a classifier is a name or a Classifier, not 3"),
    "no such parameter": ({"params": {"k": 3}}, "'k'"),
    "no such option": ({"conformal": {"alphas": 3}}, "conformal"),
    "options in a list": ({"probabilities": [3]}, "probabilities must be a mapping"),
}


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {
        "queries": QUERIES,
        "support": SUPPORT_ROWS,
        "kinds": KINDS,
        "calibration": FURTHER,
        "calibration_kinds": FURTHER_KINDS,
    }
    with pytest.raises((ArrayError, ConfigError), match=re.escape(words)) as raised:
        zsad.classify(**{**given, **change})
    assert "\n" not in str(raised.value)


# --- files ---


@pytest.fixture
def path(tmp_path: Path) -> Path:
    nan = math.nan
    said = Classified(
        roles=np.array([QUERY, SUPPORT, QUERY, SUPPORT], np.uint8),
        scores=np.array([[3.0, 1.0], [nan, nan], [0.0, 0.5], [nan, nan]]),
        probabilities=np.array([[0.75, 0.25], [nan, nan], [0.25, 0.75], [nan, nan]]),
        p_values=np.array([[0.5, 0.125], [nan, nan], [0.0625, 0.125], [nan, nan]]),
        in_set=np.array([[True, False], [False] * 2, [False] * 2, [False] * 2]),
        nearest=np.array([[0, 1], [-1, -1], [0, 1], [-1, -1]], np.int32),
        similarity=np.array([[0.5, -0.25], [nan, nan], [0.125, 1.0], [nan, nan]]),
    )
    exemplars = [Exemplar("test", "b.png", "crack"), Exemplar("test", "d.png", "good")]
    draws = [DrawInfo(seed, 1, "few-shot-defects-1", [1, 1], [0, 0], []) for seed in (2, 5)]
    with ClassifiedWriter(
        tmp_path / "c.h5",
        ["a.png", "b.png", "c.png", "d.png"],
        {},
        kinds=["crack", "good"],
        exemplars=exemplars,
        draws=draws,
        alpha=0.25,
        regions="image",
    ) as writer:
        writer.write(0, said)
        writer.write(1, said._replace(probabilities=said.probabilities[:, ::-1]))
    return tmp_path / "c.h5"


def test_answers_are_had_by_the_name_of_the_image(path: Path) -> None:
    with zsad.read_classification(path) as found:
        assert list(found) == ["a.png", "b.png", "c.png", "d.png"]
        assert (found.kinds, found.index, found.alpha) == (["crack", "good"], 0, 0.25)
    answer = found["a.png"]  # after the file was closed, too
    assert (answer.role, answer.kind, answer.prediction_set, answer.abstained) == ("query", "crack", ["crack"], False)
    assert answer.probabilities == {"crack": 0.75, "good": 0.25}
    assert answer.p_values == {"crack": 0.5, "good": 0.125}
    assert answer.nearest == {"crack": ("test", "b.png", 0.5), "good": ("test", "d.png", -0.25)}
    assert found["c.png"].abstained
    example = found["b.png"]
    assert (example.role, example.kind, example.prediction_set, example.abstained) == ("support", "", [], False)
    with pytest.raises(KeyError, match=r"there is no image 'a\.jpg'; did you mean 'a\.png'"):
        found["a.jpg"]


def test_a_draw_is_had_by_its_seed_and_shots(path: Path) -> None:
    with zsad.read_classification(path, seed=5, shots=1) as found:
        assert (found.index, found["a.png"].kind) == (1, "good")
    with pytest.raises(DataError, match="has no sample with seed 2 and 5 shots; it has seed 2 and 1 shots, seed 5 and"):
        zsad.read_classification(path, shots=5)
