"""Prediction sets and calibrated probabilities: against plain loops, and the rate that is promised by simulation."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Literal

import numpy as np
import pytest
from scipy import optimize, special

from made_up_kinds import around, unit
from zsad.classification.calibration import calibrate, choose_fitting_images
from zsad.classification.conformal import Counts, cross_counts, fewest_images, folds_of, remarks, split_counts
from zsad.classification.nearest_exemplar import NearestExemplar
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.classification.prototype import Prototype
from zsad.classification.registry import CLASSIFIERS

ALPHA = 0.1
PLAIN = ProbabilityOptions()
Thresholds = Literal["kind", "all"]
By = Literal["probability", "score"]
THRESHOLDS: tuple[Thresholds, ...] = ("kind", "all")
BYS: tuple[By, ...] = ("probability", "score")


def softmax(scores: list[float], temperature: float) -> list[float]:
    powers = [math.exp((score - max(scores)) / temperature) for score in scores]
    return [power / sum(powers) for power in powers]


def unlike(scores: list[float], temperature: float, by: str) -> list[float]:
    """The nonconformity of each kind: ``s = 1 - p``, or the score with its sign changed."""
    if by == "score":
        return [-score for score in scores]
    return [1 - probability for probability in softmax(scores, temperature)]


def threshold(values: list[float], alpha: str, *, clipped: bool) -> float:
    """The ``ceil((1 - alpha) (n + 1))``-th smallest; the published package takes the greatest where there are fewer."""
    rank = math.ceil((1 - Fraction(alpha)) * (len(values) + 1))
    if rank > len(values) and not (clipped and values):
        return math.inf
    return sorted(values)[min(rank, len(values)) - 1]


def plain_sets(
    calibration: np.ndarray,
    kinds: np.ndarray,
    queries: np.ndarray,
    *,
    alpha: str = str(ALPHA),
    temperature: float = 1.0,
    thresholds: str = "kind",
    by: str = "probability",
    clipped: bool = False,
) -> np.ndarray:
    """The sets by METHODS of the field: a kind is in where its nonconformity is at most the threshold."""
    own = [unlike(scores, temperature, by)[kind] for scores, kind in zip(calibration.tolist(), kinds, strict=True)]
    limits = []
    for kind in range(queries.shape[1]):
        values = [value for value, its in zip(own, kinds, strict=True) if its == kind or thresholds == "all"]
        limits.append(threshold(values, alpha, clipped=clipped))
    return np.array(
        [
            [value <= limit for value, limit in zip(unlike(scores, temperature, by), limits, strict=True)]
            for scores in queries.tolist()
        ]
    )


def drawn(
    seed: int, count: int, calibration: int, queries: int = 30
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores of calibration images and queries by their nearest exemplars, with the kinds of both."""
    rng, kinds = np.random.default_rng(seed), np.arange(count)
    shown, own, asked = np.repeat(kinds, 5), np.repeat(kinds, calibration), rng.integers(count, size=queries)
    support = around(rng, shown)
    scores = NearestExemplar().scores(support, shown, around(rng, np.concatenate([own, asked])), count)
    return scores[: len(own)], own, scores[len(own) :], asked


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("calibration", [9, 20, 50])
def test_probabilities_and_sets_are_those_of_the_published_rule_where_there_are_enough_images(
    calibration: int, count: int
) -> None:
    scores, kinds, queries, _ = drawn(calibration, count, calibration)
    for thresholds, by, temperature, alpha in itertools.product(THRESHOLDS, BYS, (1.0, 0.05), ("0.1", "0.2", "0.37")):
        probabilities = ProbabilityOptions(temperature=temperature)
        options = ConformalOptions(alpha=float(alpha), thresholds=thresholds, by=by)
        found = split_counts(scores, kinds, queries, options, probabilities).in_set(options.alpha)
        for clipped in (False, True):
            expected = plain_sets(
                scores,
                kinds,
                queries,
                alpha=alpha,
                temperature=temperature,
                thresholds=thresholds,
                by=by,
                clipped=clipped,
            )
            np.testing.assert_array_equal(found, expected)
        shares = calibrate(scores[:0], kinds[:0], probabilities, list(map(str, range(count))))(queries)
        np.testing.assert_allclose(shares, [softmax(row, temperature) for row in queries.tolist()], atol=1e-6)


@pytest.mark.parametrize("thresholds", THRESHOLDS)
@pytest.mark.parametrize("by", BYS)
def test_p_values_are_counted_as_plain_loops_count_them(thresholds: Thresholds, by: By) -> None:
    scores, kinds, queries, _ = drawn(1, 3, 7)
    options = ConformalOptions(thresholds=thresholds, by=by)
    counts = split_counts(scores, kinds, queries, options, PLAIN)
    for query, kind in itertools.product(range(len(queries)), range(3)):
        value = unlike(queries[query].tolist(), 1.0, by)[kind]
        compared = [
            unlike(scores[image].tolist(), 1.0, by)[kinds[image]]
            for image in range(len(scores))
            if thresholds == "all" or kinds[image] == kind
        ]
        as_great = sum(one >= value for one in compared)
        assert counts.counts[query, kind] == as_great
        assert counts.p_values()[query, kind] == pytest.approx((as_great + 1) / (len(compared) + 1))


@pytest.mark.parametrize("alpha", ["0.01", "0.05", "0.07", "0.1", "0.29", "0.3", "0.5", "0.57", "0.9", "0.999"])
@pytest.mark.parametrize("images", [0, 1, 8, 9, 10, 19, 49, 99, 199])
def test_of_all_equally_likely_ranks_of_the_true_kind_exactly_the_share_is_ruled_out(images: int, alpha: str) -> None:
    """An image among n of its kind has each of n + 1 ranks with the same probability: here is one of each."""
    counts = Counts(np.arange(images + 1)[:, None], np.array([images]), "split", by_kind=True, besides=False)
    ruled_out = np.count_nonzero(~counts.in_set(float(alpha)))
    assert ruled_out == math.floor(Fraction(alpha) * (images + 1))
    assert (ruled_out > 0) == (images >= fewest_images(float(alpha)))


class TestCoverage:
    """Of calibration images and queries from one source at least ``1 - alpha`` of the sets hold the true kind."""

    REPETITIONS = 120
    QUERIES = 10  # of each kind

    @pytest.mark.parametrize("count", [2, 5])
    @pytest.mark.parametrize("calibration", [5, 9, 20, 50])
    def test_it_is_what_is_promised(self, calibration: int, count: int) -> None:
        scores, kinds = self._scores(calibration, count)
        for thresholds, by, method in itertools.product(THRESHOLDS, BYS, ("none", "temperature", "platt")):
            probabilities = ProbabilityOptions.build({"calibrated": method}, where="probabilities")
            options = ConformalOptions(thresholds=thresholds, by=by)
            own = np.repeat(np.arange(count), calibration)
            is_free = ~choose_fitting_images(own, probabilities, options)
            left = np.count_nonzero(is_free) // (count if thresholds == "kind" else 1)
            held = np.array(
                [
                    split_counts(
                        of_draw[: len(own)][is_free], own[is_free], of_draw[len(own) :], options, probabilities
                    )
                    .in_set(ALPHA)[np.arange(len(kinds)), kinds]
                    .mean()
                    for of_draw in scores
                ]
            )
            rate, error = held.mean(), held.std(ddof=1) / math.sqrt(len(held))
            case = (thresholds, by, method, rate, error)
            assert rate >= 1 - ALPHA - 2 * error, case
            assert rate <= self._exact(left) + 4 * error, case

    def test_a_threshold_of_each_kind_holds_it_for_each_and_one_for_all_does_not(self) -> None:
        """Where one kind is harder to tell than the others."""
        rng, kinds, apart = np.random.default_rng(21), np.arange(3), np.array([8.0, 8.0, 1.0])
        shown, own, asked = np.repeat(kinds, 5), np.repeat(kinds, 20), np.repeat(kinds, self.QUERIES)
        support, each = around(rng, shown, apart=apart), np.concatenate([own, asked])
        images = around(rng, np.tile(each, self.REPETITIONS), apart=apart)
        scores = NearestExemplar().scores(support, shown, images, 3).reshape(self.REPETITIONS, len(each), 3)
        for thresholds, is_held_by_each in (("kind", True), ("all", False)):
            options = ConformalOptions.build({"thresholds": thresholds}, where="conformal")
            held = np.array(
                [
                    split_counts(of_draw[: len(own)], own, of_draw[len(own) :], options, PLAIN)
                    .in_set(ALPHA)[np.arange(len(asked)), asked]
                    .reshape(3, -1)
                    .mean(axis=1)
                    for of_draw in scores
                ]
            )
            errors = held.std(axis=0, ddof=1) / math.sqrt(len(held))
            assert (held.mean(axis=0) >= 1 - ALPHA - 2 * errors).all() == is_held_by_each

    def test_the_published_rule_loses_it_where_there_are_few_images_and_this_one_does_not(self) -> None:
        scores, kinds = self._scores(5, 2)
        own, everyone = np.repeat(np.arange(2), 5), np.arange(len(kinds))
        published, here = [], []
        for of_draw in scores:
            calibration, queries = of_draw[: len(own)], of_draw[len(own) :]
            published.append(plain_sets(calibration, own, queries, clipped=True)[everyone, kinds].mean())
            counts = split_counts(calibration, own, queries, ConformalOptions(by="probability"), PLAIN)
            here.append(counts.in_set(ALPHA)[everyone, kinds].mean())
        error = np.std(published, ddof=1) / math.sqrt(len(published))
        assert np.mean(published) < 1 - ALPHA - 2 * error
        assert set(here) == {1.0}
        (remark,) = remarks(counts, ["dent", "hole"], ALPHA)
        assert "9 calibration images" in remark

    @pytest.mark.parametrize("thresholds", THRESHOLDS)
    def test_cross_sets_hold_it_without_calibration_images(self, thresholds: Thresholds) -> None:
        rng, kinds = np.random.default_rng(5), np.repeat(np.arange(3), 12)
        asked, held = np.repeat(np.arange(3), self.QUERIES), []
        options = ConformalOptions(sets="cross", by="probability", thresholds=thresholds)
        for _ in range(60):
            support, queries = around(rng, kinds), around(rng, asked)
            counts = cross_counts(Prototype(), support, kinds, queries, 3, options, PLAIN)
            held.append(counts.in_set(ALPHA)[np.arange(len(asked)), asked].mean())
        error = np.std(held, ddof=1) / math.sqrt(len(held))
        assert np.mean(held) >= 1 - ALPHA - 2 * error
        assert np.mean(held) < 1

    def _scores(self, calibration: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each repetition, of calibration images and then of queries; and the kinds of the queries."""
        rng = np.random.default_rng(100 * calibration + count)
        shown, asked = np.repeat(np.arange(count), 5), np.repeat(np.arange(count), self.QUERIES)
        each = np.concatenate([np.repeat(np.arange(count), calibration), asked])
        images = around(rng, np.tile(each, self.REPETITIONS), channels=8)
        scores = NearestExemplar().scores(around(rng, shown, channels=8), shown, images, count)
        return scores.reshape(self.REPETITIONS, len(each), count), asked

    @staticmethod
    def _exact(images: int) -> float:
        return min(math.ceil((1 - Fraction(str(ALPHA))) * (images + 1)) / (images + 1), 1)


def test_an_image_of_a_kind_that_is_not_shown_is_like_none_by_its_score() -> None:
    rng, kinds = np.random.default_rng(6), np.arange(3)
    shown, own, asked = np.repeat(kinds, 5), np.repeat(kinds, 30), np.repeat(np.arange(4), 50)
    is_unknown = asked == 3
    support = around(rng, shown, apart=8)
    calibration, queries = around(rng, own, apart=8), around(rng, asked, apart=8)
    empty = {}
    for by in BYS:
        scores = NearestExemplar().scores(support, shown, np.concatenate([calibration, queries]), 3)
        counts = split_counts(scores[: len(own)], own, scores[len(own) :], ConformalOptions(by=by), PLAIN)
        is_empty = ~counts.in_set(ALPHA).any(axis=1)
        empty[by] = is_empty[is_unknown].mean(), is_empty[~is_unknown].mean()
    unknown, known = empty["score"]
    assert unknown > 0.9
    assert known < 0.25
    assert known < unknown / 4


class TestSplitCounts:
    def test_ties_count_as_at_least_as_unlike(self) -> None:
        calibration, kinds = np.array([[3.0, 0.0], [3.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), np.array([0, 0, 0, 1])
        options = ConformalOptions(by="score")
        counts = split_counts(calibration, kinds, np.array([[3.0, 1.0], [2.0, 2.0], [1.0, 0.0]]), options, PLAIN)
        np.testing.assert_array_equal(counts.counts, [[3, 1], [1, 1], [0, 0]])

    @pytest.mark.parametrize("by", BYS)
    def test_a_copy_of_a_calibration_image_ties_with_it_whatever_rounding_does(self, by: By) -> None:
        """The same image among many, or alone, has scores that differ by a rounding error either way."""
        scores, kinds, _, _ = drawn(7, 3, 9)
        own = np.arange(len(scores))
        for factor in (1 - 4e-16, 1.0, 1 + 4e-16):
            counts = split_counts(scores, kinds, scores * factor, ConformalOptions(by=by), PLAIN).counts
            ranks = [np.sort(counts[kinds == kind][:, kind]).tolist() for kind in range(3)]
            assert ranks == [list(range(1, 10))] * 3
            assert (counts[own, kinds] >= 1).all()

    @pytest.mark.parametrize(("by", "greatest"), [("probability", 0.0), ("score", 0.9)])
    def test_cosines_near_0_tie_too_but_for_the_rounding_of_products_of_unit_vectors(
        self, by: By, greatest: float
    ) -> None:
        """By their scores if one of the cosines is not near 0, as it is of images of one object."""
        scores, kinds, _, _ = drawn(7, 2, 9)
        scores = np.pad(1e-5 * scores, ((0, 0), (0, 1)), constant_values=greatest)
        noise = 2e-16 * np.random.default_rng(7).choice([-1, 1], size=scores.shape)
        options = ConformalOptions(by=by)
        exact, rounded = (split_counts(scores, kinds, scores + error, options, PLAIN).counts for error in (0, noise))
        np.testing.assert_array_equal(rounded, exact)

    def test_scores_that_are_all_near_0_are_still_distinguished(self) -> None:
        """As those of a cache are where nothing is much alike."""
        scores = 1e-20 * np.arange(1.0, 11)[:, None] * np.ones(2)
        options = ConformalOptions(by="score")
        counts = split_counts(scores, np.zeros(10, dtype=int), scores, options, PLAIN).counts
        np.testing.assert_array_equal(counts[:, 0], np.arange(1, 11))

    def test_the_order_of_images_and_kinds_changes_nothing_but_the_order(self) -> None:
        scores, kinds, queries, _ = drawn(8, 3, 12)
        order, renamed = np.random.default_rng(9).permutation(len(scores)), np.array([2, 0, 1])
        for thresholds, by in itertools.product(THRESHOLDS, BYS):
            options = ConformalOptions(thresholds=thresholds, by=by)
            counts = split_counts(scores, kinds, queries, options, PLAIN).counts
            back = np.argsort(renamed)
            others = split_counts(scores[order][:, back], renamed[kinds[order]], queries[:, back], options, PLAIN)
            np.testing.assert_array_equal(others.counts[:, renamed], counts)

    def test_a_query_has_the_same_counts_in_any_company(self) -> None:
        scores, kinds, queries, _ = drawn(10, 3, 12)
        counts = split_counts(scores, kinds, queries, ConformalOptions(by="probability"), PLAIN).counts
        for query, expected in zip(queries, counts, strict=True):
            alone = split_counts(scores, kinds, query[None], ConformalOptions(by="probability"), PLAIN).counts
            np.testing.assert_array_equal(alone[0], expected)

    @pytest.mark.parametrize("thresholds", THRESHOLDS)
    def test_without_calibration_images_every_kind_is_in_every_set(self, thresholds: Thresholds) -> None:
        _, _, queries, _ = drawn(11, 3, 1)
        options = ConformalOptions(by="probability", thresholds=thresholds, alpha=0.9)
        counts = split_counts(np.empty((0, 3)), np.empty(0, dtype=int), queries, options, PLAIN)
        assert counts.in_set(0.9).all()
        assert (counts.p_values() == 1).all()

    def test_a_kind_without_calibration_images_is_in_every_set_and_the_others_are_not(self) -> None:
        scores, kinds, queries, _ = drawn(12, 3, 20)
        is_there = kinds != 1
        counts = split_counts(scores[is_there], kinds[is_there], queries, ConformalOptions(by="probability"), PLAIN)
        assert (counts.p_values()[:, 1] == 1).all()
        assert counts.in_set(ALPHA).all(axis=0).tolist() == [False, True, False]
        assert remarks(counts, ["dent", "hole", "stain"], ALPHA) == [
            "No prediction set rules out hole: at alpha 0.1 that takes at least 9 calibration images of the kind, and "
            "there are none of hole."
        ]

    def test_the_temperature_matters_to_sets_of_three_kinds_and_not_of_two(self) -> None:
        sharp = ProbabilityOptions(temperature=0.02)
        for count, is_same in ((2, True), (3, False)):
            scores, kinds, queries, _ = drawn(13, count, 20, queries=200)
            found = [
                split_counts(scores, kinds, queries, ConformalOptions(by="probability"), one).counts
                for one in (PLAIN, sharp)
            ]
            assert np.array_equal(*found) == is_same

    @pytest.mark.parametrize("temperature", [1e-308, 1e-12, 1e300])
    def test_counts_are_such_at_any_temperature(self, temperature: float) -> None:
        scores, kinds, queries, _ = drawn(14, 3, 20)
        counts = split_counts(
            scores, kinds, queries, ConformalOptions(by="probability"), ProbabilityOptions(temperature=temperature)
        )
        assert ((counts.counts >= 0) & (counts.counts <= 20)).all()

    def test_probabilities_that_are_all_near_1_are_still_distinguished(self) -> None:
        """``1 - p`` itself is 0 for every one of these."""
        scores = np.stack([np.arange(50.0, 60), np.zeros(10)], axis=1)
        counts = split_counts(scores, np.zeros(10, dtype=int), scores, ConformalOptions(by="probability"), PLAIN).counts
        np.testing.assert_array_equal(counts[:, 0], np.arange(1, 11))


class TestCrossCounts:
    KINDS = np.array([0, 1, 0, 2, 1, 0, 2, 0, 2, 2, 0, 2])

    def _problem(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(15)
        return around(rng, self.KINDS), around(rng, rng.integers(3, size=15))

    @pytest.mark.parametrize("name", CLASSIFIERS.names())
    @pytest.mark.parametrize("thresholds", THRESHOLDS)
    def test_they_are_those_of_plain_loops(self, thresholds: Thresholds, name: str) -> None:
        support, queries = self._problem()
        classifier, folds = CLASSIFIERS.build(name), 3
        options = ConformalOptions(sets="cross", by="probability", thresholds=thresholds, folds=folds)
        found = cross_counts(classifier, support, self.KINDS, queries, 3, options, PLAIN)
        ranks = [list(self.KINDS[:index]).count(kind) for index, kind in enumerate(self.KINDS)]
        expected = np.zeros((len(queries), 3), dtype=int)
        for fold in range(folds):
            rest = [index for index, rank in enumerate(ranks) if rank % folds != fold]
            asked = classifier.scores(support[rest], self.KINDS[rest], queries, 3)
            for image in (index for index, rank in enumerate(ranks) if rank % folds == fold):
                scores = classifier.scores(support[rest], self.KINDS[rest], support[image][None], 3)[0].tolist()
                own = unlike(scores, 1.0, "probability")[self.KINDS[image]]
                for query, kind in itertools.product(range(len(queries)), range(3)):
                    if thresholds == "all" or self.KINDS[image] == kind:
                        expected[query, kind] += own >= unlike(asked[query].tolist(), 1.0, "probability")[kind]
        np.testing.assert_array_equal(found.counts, expected)
        np.testing.assert_array_equal(found.sizes, [5, 2, 5] if thresholds == "kind" else [12] * 3)

    @pytest.mark.parametrize("folds", [2, 3, 5, 100])
    def test_the_rest_of_the_examples_has_one_of_each_kind(self, folds: int) -> None:
        parts = folds_of(self.KINDS, folds)
        assert set(parts) == set(range(min(folds, 5)))
        for part in set(parts):
            assert set(self.KINDS[parts != part]) == {0, 1, 2}

    @pytest.mark.parametrize("thresholds", THRESHOLDS)
    def test_the_only_example_of_a_kind_leaves_it_in_every_set_with_a_remark(self, thresholds: Thresholds) -> None:
        support, queries = self._problem()
        alone = [index for index, kind in enumerate(self.KINDS) if kind != 1 or index == 1]
        options = ConformalOptions(sets="cross", by="probability", thresholds=thresholds, alpha=0.3)
        counts = cross_counts(NearestExemplar(), support[alone], self.KINDS[alone], queries, 3, options, PLAIN)
        assert (counts.p_values()[:, 1] == 1).all()
        assert counts.in_set(0.3).all(axis=0).tolist() == [False, True, False]
        assert remarks(counts, ["dent", "hole", "stain"], 0.3) == [
            "No prediction set rules out hole: its only example cannot be compared with others of the kind."
        ]

    def test_one_example_of_each_kind_rules_out_nothing(self) -> None:
        options = ConformalOptions(sets="cross", by="probability")
        counts = cross_counts(NearestExemplar(), np.eye(3), np.arange(3), np.eye(3), 3, options, PLAIN)
        assert counts.in_set(ALPHA).all()
        assert len(remarks(counts, ["dent", "hole", "stain"], ALPHA)) == 3

    def test_the_names_of_kinds_and_the_other_queries_do_not_matter(self) -> None:
        support, queries = self._problem()
        renamed, options = np.array([2, 0, 1]), ConformalOptions(sets="cross", by="probability")
        counts = cross_counts(Prototype(), support, self.KINDS, queries, 3, options, PLAIN).counts
        others = cross_counts(Prototype(), support, renamed[self.KINDS], queries[3:4], 3, options, PLAIN).counts
        np.testing.assert_array_equal(others[:, renamed], counts[3:4])


class TestRemarks:
    def _counts(self, sizes: list[int], **details: bool) -> Counts:
        given = {"by_kind": True, "besides": False, **details}
        return Counts(np.zeros((1, len(sizes)), dtype=int), np.array(sizes), "split", **given)

    def test_there_are_none_where_every_kind_can_be_ruled_out(self) -> None:
        assert remarks(self._counts([9, 10]), ["dent", "hole"], 0.1) == []
        assert remarks(self._counts([19, 19]), ["dent", "hole"], 0.05) == []

    def test_those_of_one_threshold_for_all_count_all_images(self) -> None:
        (remark,) = remarks(self._counts([8, 8], by_kind=False), ["dent", "hole"], 0.1)
        assert remark == (
            "No prediction set rules out dent, hole: at alpha 0.1 that takes at least 9 calibration images, and there "
            "are 8."
        )

    def test_images_that_fit_the_probabilities_are_said_not_to_count(self) -> None:
        (remark,) = remarks(self._counts([5, 30], besides=True), ["dent", "hole"], 0.01)
        assert remark == (
            "No prediction set rules out dent, hole: at alpha 0.01 that takes at least 99 calibration images of the "
            "kind, besides those that fit the probabilities, and there are 5 of dent, 30 of hole."
        )


class TestFitting:
    KINDS = np.array([0, 0, 0, 1, 1, 1, 1, 2])
    SPLIT, CROSS = ConformalOptions(), ConformalOptions(sets="cross")

    @pytest.mark.parametrize("method", ["temperature", "platt"])
    def test_every_second_image_of_each_kind_is_fitted_to_and_the_first_is_not(self, method: str) -> None:
        options = ProbabilityOptions.build({"calibrated": method}, where="probabilities")
        assert np.flatnonzero(choose_fitting_images(self.KINDS, options, self.SPLIT)).tolist() == [1, 4, 6]
        assert choose_fitting_images(self.KINDS, options, self.CROSS).all()

    def test_without_calibration_none_is(self) -> None:
        assert not choose_fitting_images(self.KINDS, PLAIN, self.SPLIT).any()
        assert not choose_fitting_images(self.KINDS, PLAIN, self.CROSS).any()


class TestCalibration:
    NAMES = ("dent", "hole", "stain")
    TEMPERATURE = ProbabilityOptions(calibrated="temperature")
    PLATT = ProbabilityOptions(calibrated="platt")

    def test_the_temperature_is_that_of_the_least_log_loss(self) -> None:
        """Of truths by Laplace's rule of succession, among many temperatures, whatever the unit of the scores."""
        scores, kinds, queries, _ = drawn(16, 3, 30)
        truth = (len(scores) * np.eye(3)[kinds] + 1) / (len(scores) + 3)
        tried = np.exp(np.linspace(-6, 2, 4001))
        losses = [-np.sum(truth * special.log_softmax(scores / temperature, axis=1)) for temperature in tried]
        best = tried[np.argmin(losses)]
        for scale in (1e-6, 1.0, 1e6):
            found = calibrate(scale * scores, kinds, self.TEMPERATURE, self.NAMES)(scale * queries)
            np.testing.assert_allclose(found, special.softmax(queries / best, axis=1), atol=2e-3)

    @pytest.mark.parametrize("temperature", [1.0, 0.1])
    def test_platt_curves_are_logistic_regressions_of_each_kind_on_its_log_odds(self, temperature: float) -> None:
        scores, kinds, queries, _ = drawn(17, 3, 30)

        def log_odds(values: np.ndarray) -> np.ndarray:
            shares: np.ndarray = special.logit(special.softmax(values / temperature, axis=1))
            return shares

        curves = []
        for kind in range(3):
            is_kind = kinds == kind
            truth = np.where(is_kind, (is_kind.sum() + 1) / (is_kind.sum() + 2), 1 / ((~is_kind).sum() + 2))
            x = log_odds(scores)[:, kind]

            def loss(line: np.ndarray, x: np.ndarray = x, truth: np.ndarray = truth) -> float:
                odds = line[0] * x + line[1]
                return -float(np.sum(truth * special.log_expit(odds) + (1 - truth) * special.log_expit(-odds)))

            slope, intercept = optimize.minimize(loss, [1.0, 0.0], method="Nelder-Mead", tol=1e-9).x
            curves.append(special.expit(slope * log_odds(queries)[:, kind] + intercept))
        expected = np.stack(curves, axis=1) / np.sum(curves, axis=0)[:, None]
        options = ProbabilityOptions(calibrated="platt", temperature=temperature)
        np.testing.assert_allclose(calibrate(scores, kinds, options, self.NAMES)(queries), expected, atol=1e-5)

    @pytest.mark.parametrize("options", [TEMPERATURE, PLATT], ids=["temperature", "platt"])
    def test_calibrated_probabilities_tell_more_than_those_of_bare_cosines(self, options: ProbabilityOptions) -> None:
        scores, kinds, queries, asked = drawn(18, 3, 30, queries=300)
        true = np.arange(len(asked)), asked
        curve = calibrate(scores, kinds, options, self.NAMES)
        plain = calibrate(scores, kinds, PLAIN, self.NAMES)
        assert curve.remarks == plain.remarks == []
        assert -np.log(curve(queries)[true]).mean() < -np.log(plain(queries)[true]).mean() - 0.05

    @pytest.mark.parametrize("options", [TEMPERATURE, PLATT], ids=["temperature", "platt"])
    @pytest.mark.parametrize(
        ("scores", "kinds", "reason"),
        [
            pytest.param(np.empty((0, 3)), [], "no calibration image of dent, hole, stain", id="no image"),
            pytest.param([[1.0, 0, 0]], [0], "no calibration image of hole, stain", id="one image"),
            pytest.param([[1.0, 0, 0]] * 4, [0, 0, 1, 1], "no calibration image of stain", id="a kind without any"),
            pytest.param(np.full((6, 3), 0.9), [0, 0, 1, 1, 2, 2], "equally similar", id="scores all the same"),
            pytest.param(np.zeros((6, 3)), [0, 0, 1, 1, 2, 2], "equally similar", id="scores all 0"),
            pytest.param(np.eye(3), [0, 1, 2], "", id="one of each, all told right"),
            pytest.param(np.eye(3)[[0, 0, 1, 1, 2, 2]] * 1e-9, [0, 0, 1, 1, 2, 2], "", id="told right by little"),
            pytest.param(np.eye(3)[[0, 0, 1, 1, 2, 2]] * 1e9, [0, 0, 1, 1, 2, 2], "", id="told right by a lot"),
        ],
    )
    def test_probabilities_are_such_whatever_there_is_to_fit_to(
        self, scores: list[list[float]] | np.ndarray, kinds: list[int], reason: str, options: ProbabilityOptions
    ) -> None:
        curve = calibrate(np.asarray(scores), np.array(kinds, dtype=int), options, self.NAMES)
        queries = np.array([[0.2, 0.1, 0.0], [1.0, -1.0, 0.0], [1e9, 0.0, -1e9], [0.0, 0.0, 0.0]])
        found = curve(queries)
        assert ((found >= 0) & (found <= 1)).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
        if reason:
            (remark,) = curve.remarks
            assert remark.startswith("The probabilities are not calibrated: ")
            assert reason in remark
            np.testing.assert_allclose(found, special.softmax(queries, axis=1), atol=1e-12)
        else:
            assert curve.remarks == []

    def test_few_images_that_are_all_classified_correctly_do_not_make_certain(self) -> None:
        for options in (self.TEMPERATURE, self.PLATT):
            found = calibrate(np.eye(3), np.arange(3), options, self.NAMES)(np.eye(3))
            assert (found.argmax(axis=1) == np.arange(3)).all()
            assert found.max() < 0.8

    def test_temperature_of_images_that_are_all_classified_wrongly_makes_all_kinds_alike(self) -> None:
        found = calibrate(np.eye(3), np.array([1, 2, 0]), self.TEMPERATURE, self.NAMES)(np.eye(3))
        np.testing.assert_allclose(found, 1 / 3, atol=1e-3)

    def test_curves_that_would_run_downhill_are_none(self) -> None:
        curve = calibrate(np.eye(3), np.array([1, 2, 0]), self.PLATT, self.NAMES)
        assert curve.remarks == [
            "The probabilities are not calibrated: the calibration images of dent are not more similar to it than the "
            "others."
        ]

    @pytest.mark.parametrize("temperature", [1e-308, 1e-12, 1e300])
    def test_they_are_such_at_any_temperature(self, temperature: float) -> None:
        scores, kinds, queries, _ = drawn(19, 3, 10)
        for method in ("none", "temperature", "platt"):
            options = ProbabilityOptions.build(
                {"calibrated": method, "temperature": temperature}, where="probabilities"
            )
            found = calibrate(scores, kinds, options, self.NAMES)(queries)
            np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


def test_the_embeddings_of_these_tests_have_unit_length() -> None:
    images = around(np.random.default_rng(20), np.array([0, 1, 1]))
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1)
    np.testing.assert_array_equal(unit(images), images)
