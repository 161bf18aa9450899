"""Classifiers of defect types, against plain loops, the published formulas and scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge as PlainRidge

from made_up_kinds import around, unit
from zsad.classification.base import Classifier
from zsad.classification.registry import CLASSIFIERS

COUNT = 3
KINDS = np.array([2, 0, 1, 0, 0, 1, 2, 0])  # of unlike numbers of examples, in no order
Vector = list[float]
NAMES = CLASSIFIERS.names()


def dot(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def normalised(vector: Vector) -> Vector:
    length = math.sqrt(dot(vector, vector))
    return [value / length for value in vector]


def mean(vectors: list[Vector]) -> Vector:
    return [sum(values) / len(vectors) for values in zip(*vectors, strict=True)]


def of_kind(support: list[Vector], kinds: list[int], kind: int) -> list[Vector]:
    return [vector for vector, its_kind in zip(support, kinds, strict=True) if its_kind == kind]


def nearest_exemplar(examples: list[Vector], query: Vector) -> float:
    return max(dot(example, query) for example in examples)


def prototype(examples: list[Vector], query: Vector) -> float:
    return dot(normalised(mean(examples)), query)


def cache(examples: list[Vector], query: Vector) -> float:
    return sum(math.exp(-32 * (1 - dot(example, query))) for example in examples) / 0.11


def sharp_cache(examples: list[Vector], query: Vector) -> float:
    return sum(math.exp(-4 * (1 - dot(example, query))) for example in examples) / 0.5


def centred(vectors: list[Vector], middle: Vector) -> list[Vector]:
    return [normalised([value - its for value, its in zip(vector, middle, strict=True)]) for vector in vectors]


def problem(seed: int = 0, channels: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return around(rng, KINDS, channels=channels), around(rng, rng.integers(COUNT, size=20), channels=channels)


@pytest.mark.parametrize("centre", ["none", "support"])
@pytest.mark.parametrize(
    ("name", "params", "plain"),
    [
        ("nearest_exemplar", {}, nearest_exemplar),
        ("prototype", {}, prototype),
        ("cache", {}, cache),
        ("cache", {"beta": 4, "temperature": 0.5}, sharp_cache),
    ],
)
def test_scores_are_those_of_plain_loops(
    name: str, params: dict[str, Any], plain: Callable[[list[Vector], Vector], float], centre: str
) -> None:
    support, queries = problem()
    found = CLASSIFIERS.build(name, {**params, "centre": centre}).scores(support, KINDS, queries, COUNT)
    examples, asked, kinds = support.tolist(), queries.tolist(), KINDS.tolist()
    if centre == "support":
        middle = mean([mean(of_kind(examples, kinds, kind)) for kind in range(COUNT)])
        examples, asked = centred(examples, middle), centred(asked, middle)
    expected = [[plain(of_kind(examples, kinds, kind), query) for kind in range(COUNT)] for query in asked]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_cache_has_the_logits_of_tip_adapter_without_texts() -> None:
    """``exp(-beta (1 - f F')) L`` with keys F and one-hot values L, in the symbols of the paper."""
    keys, f = problem()
    values = np.zeros((len(KINDS), COUNT))
    values[np.arange(len(KINDS)), KINDS] = 1
    beta = 5.5
    logits = np.exp(-(beta - beta * f @ keys.T)) @ values
    found = CLASSIFIERS.build("cache", {"beta": beta, "temperature": 1}).scores(keys, KINDS, f, COUNT)
    np.testing.assert_allclose(found, logits, rtol=1e-12)


@pytest.mark.parametrize("channels", [4, 7, 8, 9, 64])
@pytest.mark.parametrize("penalty", [1e-6, 0.1, 10])
def test_ridge_is_that_of_scikit_learn_with_weights_whichever_problem_is_solved(channels: int, penalty: float) -> None:
    support, queries = problem(channels=channels)
    weights = np.array([len(KINDS) / (COUNT * np.count_nonzero(kind == KINDS)) for kind in KINDS])
    plain = PlainRidge(alpha=penalty).fit(support, np.eye(COUNT)[KINDS], sample_weight=weights)
    found = CLASSIFIERS.build("ridge", {"penalty": penalty}).scores(support, KINDS, queries, COUNT)
    np.testing.assert_allclose(found, plain.predict(queries), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("channels", [4, 8, 64])
def test_ridge_solves_the_smaller_problem(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    support, queries = problem(channels=channels)
    solve, sizes = np.linalg.solve, []

    def counted(matrix: np.ndarray, targets: np.ndarray) -> np.ndarray:
        sizes.append(len(matrix))
        solution: np.ndarray = solve(matrix, targets)
        return solution

    monkeypatch.setattr(np.linalg, "solve", counted)
    CLASSIFIERS.build("ridge").scores(support, KINDS, queries, COUNT)
    assert sizes == [min(channels, len(KINDS))]


def test_ridge_weighs_kinds_alike_however_many_examples_they_have() -> None:
    support, queries = problem()
    twice = np.concatenate([np.arange(len(KINDS)), np.flatnonzero(KINDS == 0)])
    ridge = CLASSIFIERS.build("ridge", {"penalty": 1e-9})
    many = CLASSIFIERS.build("ridge", {"penalty": 1e-9 * len(twice) / len(KINDS)})
    once = ridge.scores(support, KINDS, queries, COUNT)
    np.testing.assert_allclose(many.scores(support[twice], KINDS[twice], queries, COUNT), once, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("centre", ["none", "support"])
class TestEveryClassifier:
    @pytest.fixture
    def classifier(self, name: str, centre: str) -> Classifier:
        return CLASSIFIERS.build(name, {"centre": centre})

    def test_the_order_of_kinds_and_examples_changes_nothing_but_the_order(self, classifier: Classifier) -> None:
        support, queries = problem()
        scores = classifier.scores(support, KINDS, queries, COUNT)
        renamed, order = np.array([1, 2, 0]), np.random.default_rng(1).permutation(len(KINDS))
        others = classifier.scores(support[order], renamed[KINDS[order]], queries, COUNT)
        np.testing.assert_allclose(others[:, renamed], scores, rtol=1e-9, atol=1e-12)

    def test_a_query_is_scored_the_same_in_any_company(self, classifier: Classifier) -> None:
        support, queries = problem()
        scores = classifier.scores(support, KINDS, queries, COUNT)
        alone = [classifier.scores(support, KINDS, query[None], COUNT)[0] for query in queries]
        np.testing.assert_allclose(alone, scores, rtol=1e-9, atol=1e-12)
        assert classifier.scores(support, KINDS, queries[:0], COUNT).shape == (0, COUNT)

    def test_the_arrays_that_are_given_stay_as_they_are(self, classifier: Classifier) -> None:
        support, queries = problem()
        before = support.copy(), queries.copy()
        classifier.scores(support, KINDS, queries, COUNT)
        np.testing.assert_array_equal(support, before[0])
        np.testing.assert_array_equal(queries, before[1])

    def test_kinds_that_lie_apart_are_distinguished(self, classifier: Classifier) -> None:
        rng = np.random.default_rng(2)
        asked = rng.integers(COUNT, size=30)
        scores = classifier.scores(around(rng, KINDS, apart=30), KINDS, around(rng, asked, apart=30), COUNT)
        np.testing.assert_array_equal(scores.argmax(axis=1), asked)

    @pytest.mark.parametrize(
        "support",
        [
            pytest.param(np.ones((3, 16)) / 4, id="copies of one image"),
            pytest.param(np.eye(16)[[0, 0, 1]], id="copies under two kinds"),
            pytest.param(np.array([[0.6, 0.8], [-0.6, -0.8], [0.6, 0.8]]), id="opposite"),
        ],
    )
    def test_scores_are_numbers_where_examples_do_not_differ(self, classifier: Classifier, support: np.ndarray) -> None:
        queries = np.concatenate([support, -support, unit(np.random.default_rng(3).normal(size=(4, support.shape[1])))])
        scores = classifier.scores(support, np.array([0, 1, 2]), queries, COUNT)
        assert np.isfinite(scores).all()

    def test_a_single_example_of_two_kinds_each_is_enough(self, classifier: Classifier) -> None:
        support = np.eye(16)[[0, 1]]
        scores = classifier.scores(support, np.array([0, 1]), support, 2)
        np.testing.assert_array_equal(scores.argmax(axis=1), [0, 1])


@pytest.mark.parametrize("params", [{"beta": 1e6}, {"beta": 1e6, "temperature": 1e-6}, {"beta": 1e-300}])
def test_a_cache_has_finite_scores_within_its_bounds_though_a_cosine_is_rounded_above_1(params: dict[str, Any]) -> None:
    support, queries = np.eye(2) * (1 + 1e-9), np.eye(2)
    scores = CLASSIFIERS.build("cache", params).scores(support, np.array([0, 1]), queries, 2)
    assert np.isfinite(scores).all()
    assert scores.max() == 1 / params.get("temperature", 0.11)


def test_what_is_the_mean_of_the_examples_is_like_no_kind_once_it_is_taken_off() -> None:
    support, middle = np.eye(4)[[0, 1]], np.array([[0.5, 0.5, 0, 0]])
    for name in ("nearest_exemplar", "prototype"):
        scores = CLASSIFIERS.build(name, {"centre": "support"}).scores(support, np.array([0, 1]), middle, 2)
        np.testing.assert_array_equal(scores, 0)


def test_examples_that_cancel_out_have_no_mean_to_resemble() -> None:
    support = np.array([[0.6, 0.8], [-0.6, -0.8], [1.0, 0.0]])
    scores = CLASSIFIERS.build("prototype").scores(support, np.array([0, 0, 1]), support, 2)
    np.testing.assert_allclose(scores, [[0, 0.6], [0, -0.6], [0, 1]], atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_what_all_embeddings_have_in_common_does_not_matter_once_the_mean_is_taken_off(name: str) -> None:
    support, queries = problem(channels=15)
    common = (
        np.pad(support, ((0, 0), (0, 1)), constant_values=20),
        np.pad(queries, ((0, 0), (0, 1)), constant_values=20),
    )
    assert (unit(common[1]) @ unit(common[0]).T).min() > 0.99
    classifier = CLASSIFIERS.build(name, {"centre": "support"})
    np.testing.assert_allclose(
        classifier.scores(unit(common[0]), KINDS, unit(common[1]), COUNT),
        classifier.scores(support, KINDS, queries, COUNT),
        rtol=1e-9,
        atol=1e-12,
    )
