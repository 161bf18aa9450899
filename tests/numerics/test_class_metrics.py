"""Metrics of predicted kinds against scikit-learn and plain loops, and their limits against resampled images."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from class_files import plain_confusion, plain_coverage, plain_metrics
from zsad.evaluation.bootstrap import Sampler
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
        truth=rng.choice(np.array(true), images),
        predicted=rng.integers(0, len(KINDS), images),
        in_set=rng.uniform(size=(images, len(KINDS))) < 0.4,
        is_query=rng.uniform(size=images) < asked,
    )


def in_words(answers, times=1):
    """True kinds, predictions and sets of the queries, each as often as is said."""
    chosen = np.repeat(np.arange(len(answers.truth)), np.where(answers.is_query, times, 0).astype(int))
    return (
        ["" if place == UNLABELLED else ALL_KINDS[place] for place in answers.truth[chosen]],
        [KINDS[place] for place in answers.predicted[chosen]],
        [[kind for kind, is_in in zip(KINDS, row, strict=True) if is_in] for row in answers.in_set[chosen]],
    )


def counted(answers):
    is_labelled = bool((answers.truth[answers.is_query] != UNLABELLED).any())
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


def test_nobody_answers_with_one_kind():
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
        truth=np.where(others, (answers.truth + 2) % len(ALL_KINDS), answers.truth),
        predicted=np.where(others, UNLABELLED, answers.predicted),
        in_set=answers.in_set ^ others[:, None],
        is_query=answers.is_query,
    )
    for one, other in zip(counted(answers).total(), counted(changed).total(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_image_that_counts_twice_is_two_images():
    answers = made_up(2)
    times = np.random.default_rng(0).integers(0, 4, (5, len(answers.truth)))
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
    """Draws of three seeds by two numbers of shots, of images of which each has one kind."""

    def __init__(self):
        first = made_up(0, images=60, true=range(len(ALL_KINDS)))
        self.groups = []
        for shots in range(2):
            answers = [made_up([shots, seed], images=60) for seed in range(3)]
            self.groups.append([one._replace(truth=first.truth) for one in answers])
        for seed in range(3):  # the queries of a seed are the same for all shots
            self.groups[1][seed] = self.groups[1][seed]._replace(is_query=self.groups[0][seed].is_query)
        asked = np.any([one.is_query for one in self.groups[0]], axis=0)
        self.truth = first.truth
        self.strata = np.where(asked, first.truth, NEVER)

    def resampled(self, sampler):
        return resampled_means([[counted(one) for one in group] for group in self.groups], self.strata, sampler)

    def means(self, group, weights):
        """The means over seeds of plain loops over images that are drawn as often as is said."""
        measured = [expected(one, weights)[0] for one in self.groups[group]]
        return {name: np.mean([one[name] for one in measured]) for name in CLASSIFICATION_METRICS}


def test_a_resample_draws_images_of_each_kind_apart_and_alike_in_all_draws_of_examples():
    draws, sampler = Draws(), Sampler(60, 3, "tiles")
    resampled = draws.resampled(sampler)
    assert resampled[BY_KIND].shape == (60, 2, len(KINDS))
    strata = [draws.strata == kind for kind in range(len(ALL_KINDS))]
    weights = np.concatenate(list(sampler.stratified(strata)))
    for stratum in strata:
        assert (weights[:, stratum].sum(axis=1) == stratum.sum()).all()
    assert not weights[:, draws.strata == NEVER].any()
    for group in range(2):
        for draw in range(0, 60, 7):
            for name, value in draws.means(group, weights[draw]).items():
                if name != "majority":
                    assert resampled[name][draw, group] == pytest.approx(value), name


def test_limits_are_those_of_images_that_are_drawn_one_by_one():
    draws, rng = Draws(), np.random.default_rng(11)
    resampled = draws.resampled(Sampler(4000, 0, "tiles"))
    slow = []
    for _ in range(400):
        weights = np.zeros(len(draws.truth))
        for kind in range(len(ALL_KINDS)):
            images = np.flatnonzero(draws.strata == kind)
            np.add.at(weights, rng.choice(images, len(images)), 1)
        slow.append(draws.means(0, weights))
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "coverage", "set_size", "singletons", "abstained"):
        fast, plain = resampled[name][:, 0], np.array([one[name] for one in slow])
        spread = np.std(plain)
        assert abs(fast.mean() - plain.mean()) < 4 * spread / np.sqrt(400), name
        assert np.std(fast) == pytest.approx(spread, rel=4 / np.sqrt(2 * 400)), name


def test_limits_of_one_number_of_shots_do_not_depend_on_the_others():
    draws, sampler = Draws(), Sampler(40, 0, "tiles")
    alone = resampled_means([[counted(one) for one in draws.groups[1]]], draws.strata, sampler)
    both = draws.resampled(sampler)
    for name, values in alone.items():
        np.testing.assert_array_equal(values[:, 0], both[name][:, 1])


def test_the_share_of_the_usual_kind_has_limits_about_itself():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 20)
    answers = [made_up(seed, images=60)._replace(truth=truth, is_query=rng.uniform(size=60) < 0.7) for seed in range(3)]
    resampled = resampled_means([[counted(one) for one in answers]], truth, Sampler(400, 0))["majority"][:, 0]
    value = float(mean_over_seeds([measure(counted(one).total())["majority"] for one in answers]))
    assert abs(resampled.mean() - value) < 4 * resampled.std() / np.sqrt(400)


def test_there_are_no_limits_without_resamples():
    assert Draws().resampled(Sampler(0, 0)) == {}


def test_every_metric_has_a_title_of_its_own():
    titles = [TITLES[name] for name in CLASSIFICATION_METRICS]
    assert all(list(TITLES.values()).count(title) == 1 for title in titles)
