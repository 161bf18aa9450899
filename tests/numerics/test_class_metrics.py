"""Metrics of predicted kinds against scikit-learn and plain loops, and their limits against resampled images."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from class_files import plain_confusion, plain_coverage, plain_metrics
from zsad.evaluation.bootstrap import Sampler, interval
from zsad.evaluation.classes import (
    BY_KIND,
    NEVER,
    UNLABELLED,
    Answers,
    ImageCounts,
    deviation_over_seeds,
    mean_over_seeds,
    measure,
    resampled_means,
)
from zsad.names import CLASSIFICATION_METRICS, TITLES

KINDS = ("a", "b", "c")
ALL_KINDS = (*KINDS, "d", "e")  # the last two are not shown
OF_ALL_SORTS = (UNLABELLED, 0, 1, 2, 3, 4)


def made_up(seed, images=40, true=OF_ALL_SORTS, asked=0.8):
    """Answers about images whose true kinds are among the given ones."""
    rng = np.random.default_rng(seed)
    return Answers(
        true_kind=rng.choice(np.array(true), images),
        predicted=rng.integers(0, len(KINDS), images),
        in_set=rng.uniform(size=(images, len(KINDS))) < 0.4,
        is_query=rng.uniform(size=images) < asked,
    )


def in_words(answers, times=1):
    """True kinds, predictions and sets of the queries, each as often as is said."""
    chosen = np.repeat(np.arange(len(answers.true_kind)), np.where(answers.is_query, times, 0).astype(int))
    return (
        ["" if place == UNLABELLED else ALL_KINDS[place] for place in answers.true_kind[chosen]],
        [KINDS[place] for place in answers.predicted[chosen]],
        [[kind for kind, is_in in zip(KINDS, row, strict=True) if is_in] for row in answers.in_set[chosen]],
    )


def counted(answers):
    is_labelled = bool((answers.true_kind[answers.is_query] != UNLABELLED).any())
    return ImageCounts(answers, len(ALL_KINDS), is_labelled=is_labelled)


def expected(answers, times=1):
    truth, predicted, sets = in_words(answers, times)
    return plain_metrics(truth, predicted, sets, KINDS), plain_coverage(truth, sets, KINDS)


def assert_equal(measured, metrics, coverage):
    assert set(measured) == {*CLASSIFICATION_METRICS, BY_KIND}
    for name, value in metrics.items():
        assert float(measured[name]) == pytest.approx(np.nan if value is None else value, abs=1e-12, nan_ok=True), name
    values = [np.nan if value is None else value for value in coverage.values()]
    np.testing.assert_allclose(measured[BY_KIND], values, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("true", [(0, 1, 2), (0, 2), (1,)])
def test_the_metrics_are_those_of_scikit_learn(seed, true):
    answers = made_up(seed, true=true)
    truth, predicted, _ = in_words(answers)
    measured = measure(counted(answers).total())
    assert float(measured["accuracy"]) == pytest.approx(accuracy_score(truth, predicted))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some kinds are predicted alone
        assert float(measured["balanced_accuracy"]) == pytest.approx(balanced_accuracy_score(truth, predicted))
    f1 = f1_score(truth, predicted, labels=KINDS, average="macro", zero_division=0)
    assert float(measured["macro_f1"]) == pytest.approx(f1)


def test_the_confusion_matrix_is_that_of_scikit_learn_with_unknown_kinds_below():
    answers = made_up(0, true=range(len(ALL_KINDS)))
    truth, predicted, _ = in_words(answers)
    confusion = counted(answers).total().confusion
    np.testing.assert_array_equal(confusion, confusion_matrix(truth, predicted, labels=ALL_KINDS)[:, : len(KINDS)])
    np.testing.assert_array_equal(confusion, plain_confusion(truth, predicted, KINDS, ALL_KINDS[len(KINDS) :]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "true",
    [
        OF_ALL_SORTS,
        (0, 1, 2),
        (1,),  # a single kind
        (3, 4),  # none of those that were shown
        (UNLABELLED,),
        (UNLABELLED, 4),
        (UNLABELLED, 0),
    ],
)
def test_the_metrics_are_those_of_plain_loops(seed, true):
    answers = made_up(seed, true=true)
    assert_equal(measure(counted(answers).total()), *expected(answers))


def test_no_classifier_answers_with_one_kind():
    answers = made_up(0)._replace(in_set=np.zeros((40, len(KINDS)), bool))
    measured = measure(counted(answers).total())
    assert_equal(measured, *expected(answers))
    assert np.isnan(measured["singleton_accuracy"])
    assert measured["abstained"] == measured["unknown_abstained"] == 1
    assert measured["coverage"] == measured["set_size"] == 0


def test_only_queries_count_whatever_is_said_of_others():
    answers = made_up(1)
    others = ~answers.is_query
    changed = Answers(
        true_kind=np.where(others, (answers.true_kind + 2) % len(ALL_KINDS), answers.true_kind),
        predicted=np.where(others, UNLABELLED, answers.predicted),
        in_set=answers.in_set ^ others[:, None],
        is_query=answers.is_query,
    )
    for one, other in zip(counted(answers).total(), counted(changed).total(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_image_that_counts_twice_is_two_images():
    answers = made_up(2)
    times = np.random.default_rng(0).integers(0, 4, (5, len(answers.true_kind)))
    measured = measure(counted(answers).added(times.astype(float)))
    for draw, weights in enumerate(times):
        metrics, coverage = expected(answers, weights)
        # The kind to compare with is chosen before images are drawn.
        shown, _, _ = in_words(answers)
        usual = max(KINDS, key=shown.count)
        truth = [kind for kind in in_words(answers, weights)[0] if kind in KINDS]
        metrics["majority"] = truth.count(usual) / len(truth)
        assert_equal({name: values[draw] for name, values in measured.items()}, metrics, coverage)


def test_a_seed_that_does_not_measure_a_metric_is_left_out_of_its_mean():
    values = [np.array([1.0, np.nan, np.nan]), np.array([2.0, 5.0, np.nan]), np.array([6.0, 7.0, np.nan])]
    np.testing.assert_allclose(mean_over_seeds(values), [3, 6, np.nan])
    np.testing.assert_allclose(deviation_over_seeds(values), [np.std([1, 2, 6], ddof=1), np.sqrt(2), np.nan])
    np.testing.assert_allclose(deviation_over_seeds(values[:1]), [np.nan] * 3)


class Draws:
    """Draws of some seeds by two numbers of shots; each image has one kind, and the queries of a seed are the same."""

    def __init__(self, seeds=3, images=60):
        self.true_kind = made_up(0, images=images, true=range(len(ALL_KINDS))).true_kind
        self.groups = [[], []]
        for seed in range(seeds):
            few, many = (made_up([shots, seed], images=images)._replace(true_kind=self.true_kind) for shots in range(2))
            self.groups[0].append(few)
            self.groups[1].append(many._replace(is_query=few.is_query))
        asked = np.any([one.is_query for one in self.groups[0]], axis=0)
        self.strata = np.where(asked, self.true_kind, NEVER)

    def resampled(self, sampler):
        return resampled_means([[counted(one) for one in group] for group in self.groups], self.strata, sampler)

    def weights(self, sampler):
        return np.concatenate(list(sampler.stratified([self.strata == kind for kind in range(len(ALL_KINDS))])))

    def means(self, shots, weights):
        """The means over seeds of plain loops over images that are drawn as often as is said."""
        measured = [expected(one, weights)[0] for one in self.groups[shots]]
        names = set(CLASSIFICATION_METRICS) - {"majority"}
        return {name: np.mean([one[name] for one in measured]) for name in names}

    def drawn_slowly(self, rng):
        """How often each image is drawn, one by one."""
        weights = np.zeros(len(self.true_kind))
        for kind in range(len(ALL_KINDS)):
            images = np.flatnonzero(self.strata == kind)
            np.add.at(weights, rng.choice(images, len(images)), 1)
        return weights


def test_a_resample_of_one_seed_is_of_images_that_were_drawn_as_often():
    draws, sampler = Draws(seeds=1), Sampler(60, 3, "tiles")
    resampled, weights = draws.resampled(sampler), draws.weights(sampler)
    assert resampled[BY_KIND].shape == (60, 2, len(KINDS))
    for kind in range(len(ALL_KINDS)):
        assert (weights[:, draws.strata == kind].sum(axis=1) == (draws.strata == kind).sum()).all()
    assert not weights[:, draws.strata == NEVER].any()
    for shots in range(2):
        for draw in range(60):
            metrics, coverage = expected(draws.groups[shots][0], weights[draw])
            assert_equal({name: values[draw, shots] for name, values in resampled.items()}, metrics, coverage)


def test_a_resample_draws_images_alike_for_all_seeds():
    draws, sampler = Draws(), Sampler(60, 3, "tiles")
    resampled, weights = draws.resampled(sampler), draws.weights(sampler)
    for shots in range(2):
        for draw in range(0, 60, 7):
            for name, value in draws.means(shots, weights[draw]).items():
                assert resampled[name][draw, shots] == pytest.approx(value), name


def test_a_kind_of_which_no_image_was_drawn_is_in_no_mean_over_kinds():
    answers = Answers(
        true_kind=np.array([0, 0, 1, 3]),
        predicted=np.array([0, 2, 1, 1]),
        in_set=np.ones((4, len(KINDS)), bool),
        is_query=np.ones(4, bool),
    )
    metrics = measure(counted(answers).added(np.array([[1.0, 1, 1, 1], [2, 0, 0, 1], [1, 1, 0, 1]])))
    # Of the third kind there is no image at all.
    np.testing.assert_allclose(metrics["macro_f1"], [(2 / 3 + 1 + 0) / 3, (1 + 0) / 2, (2 / 3 + 0) / 2])
    np.testing.assert_allclose(metrics["balanced_accuracy"], [3 / 4, 1, 1 / 2])
    np.testing.assert_allclose(metrics["majority"], [2 / 3, 1, 1])


def test_limits_are_those_of_images_that_are_drawn_one_by_one():
    draws, rng = Draws(), np.random.default_rng(11)
    resampled = draws.resampled(Sampler(4000, 0, "tiles"))
    slow = [draws.means(0, draws.drawn_slowly(rng)) for _ in range(300)]
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "coverage", "set_size", "singletons", "abstained"):
        fast, plain = resampled[name][:, 0], np.array([one[name] for one in slow])
        spread = np.std(plain)
        assert abs(fast.mean() - plain.mean()) < 4 * spread / np.sqrt(300), name
        assert np.std(fast) == pytest.approx(spread, rel=4 / np.sqrt(2 * 300)), name


def test_the_same_images_measured_by_more_seeds_are_no_more_images():
    one = made_up(0, images=200, true=range(len(KINDS)), asked=1)
    spreads = [
        np.std(resampled_means([[counted(one)] * seeds], one.true_kind, Sampler(400, 0))["accuracy"])
        for seeds in (1, 5)
    ]
    assert spreads[0] == pytest.approx(spreads[1])
    accuracy = float(measure(counted(one).total())["accuracy"])
    assert spreads[0] == pytest.approx(np.sqrt(accuracy * (1 - accuracy) / 200), rel=0.15)


def test_limits_hold_the_value_where_seeds_have_one_query_of_a_kind():
    """As with six images of a kind of which five were shown."""
    seeds = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        truth = np.repeat([0, 1, 2], (30, 6, 6))
        asked = np.concatenate([np.ones(30, bool), *(rng.permutation(6) == 0 for _ in range(2))])
        right = rng.uniform(size=42) < 0.8
        predicted = np.where(right, truth, (truth + 1) % 3)
        seeds.append(Answers(truth, predicted, np.eye(3, dtype=bool)[predicted], asked))
    strata = np.where(np.any([one.is_query for one in seeds], axis=0), truth, NEVER)
    resampled = resampled_means([[counted(one) for one in seeds]], strata, Sampler(1000, 0))
    measured = [measure(counted(one).total()) for one in seeds]
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "coverage", "majority"):
        low, high = interval(resampled[name][:, 0])
        assert low < np.mean([one[name] for one in measured]) < high, name


def test_limits_of_one_number_of_shots_do_not_depend_on_the_others():
    draws, sampler = Draws(), Sampler(40, 0, "tiles")
    alone = resampled_means([[counted(one) for one in draws.groups[1]]], draws.strata, sampler)
    both = draws.resampled(sampler)
    for name, values in alone.items():
        np.testing.assert_array_equal(values[:, 0], both[name][:, 1])


def test_there_are_no_limits_without_resamples():
    assert Draws().resampled(Sampler(0, 0)) == {}


def test_every_metric_has_a_title_of_its_own():
    titles = [TITLES[name] for name in CLASSIFICATION_METRICS]
    assert all(list(TITLES.values()).count(title) == 1 for title in titles)
