"""What rules look at and what they say: thresholds as numbers of maps, one consistent pair, ties."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zsad.deciding.base import LOWEST, Evidence, Verdicts, above_all, peaks
from zsad.deciding.conformal import Conformal
from zsad.errors import ArrayError, DataError
from zsad.maps import Thresholds, standing_out

MAPS = [np.array([[0.1, 0.3]], np.float32), np.array([[0.2], [0.7], [0.1]], np.float32)]
SCORES = np.array([0.2, 0.4])


def test_images_are_decided_by_the_highest_value_of_their_maps() -> None:
    evidence = Evidence(MAPS, SCORES)
    assert evidence.localises
    assert len(evidence) == 2
    np.testing.assert_array_equal(evidence.peaks, np.array([0.3, 0.7], np.float32).astype(np.float64))
    assert evidence.reference_peaks.shape == (0,)


def test_without_maps_images_are_decided_by_their_scores_as_they_are_stored() -> None:
    evidence = Evidence([], SCORES, [], np.array([0.1, 0.3]))
    assert not evidence.localises
    np.testing.assert_array_equal(evidence.peaks, SCORES.astype(np.float32).astype(np.float64))
    np.testing.assert_array_equal(evidence.reference_peaks, np.float32([0.1, 0.3]).astype(np.float64))


@pytest.mark.parametrize(
    "given",
    [
        (MAPS, SCORES[:1]),
        (MAPS, SCORES[:, None]),
        (MAPS, np.float64(0.3)),
        ([], SCORES, MAPS, SCORES),
        (MAPS, SCORES, [], SCORES),
        (MAPS, SCORES, MAPS, SCORES[:1]),
    ],
    ids=["fewer scores", "a table", "one number", "maps of references alone", "none of references", "of one reference"],
)
def test_maps_and_scores_that_are_not_of_the_same_images_or_of_one_method_are_refused(given: tuple) -> None:
    with pytest.raises(ArrayError, match="maps"):
        Evidence(*given)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_never_just_called_good(value: float) -> None:
    with pytest.raises(ArrayError, match="score 1 is not finite"):
        peaks([MAPS[0], np.full((2, 2), value, np.float32)], SCORES)
    with pytest.raises(ArrayError, match="score 0 is not finite"):
        Conformal().decide(Evidence([], np.array([value, 1.0]), [], np.array([1.0, 2.0])))


def test_what_equals_a_threshold_does_not_exceed_it() -> None:
    """0.1 in float32 is above 0.1 in float64: a map of 0.1 is not above a threshold of 0.1 for all that."""
    evidence = Evidence([np.full((2, 2), 0.1, np.float32), np.full((1, 1), np.nextafter(np.float32(0.1), 1))], [0, 0])
    verdicts = Verdicts(evidence, 0.1, 0.1)
    assert verdicts.decided.tolist() == [False, True]
    assert verdicts.region.dtype == np.float64
    np.testing.assert_array_equal(verdicts.region, np.float32(0.1))


def test_thresholds_are_one_for_all_or_one_for_each() -> None:
    evidence = Evidence(MAPS, SCORES)
    assert Verdicts(evidence, 0.5, 0.25).thresholds(1) == Thresholds(0.25, 0.5)
    verdicts = Verdicts(evidence, np.array([0.25, 0.75]), np.array([0.125, 0.5]))
    assert [verdicts.thresholds(index) for index in range(2)] == [Thresholds(0.125, 0.25), Thresholds(0.5, 0.75)]
    assert verdicts.decided.tolist() == [True, False]
    with pytest.raises(ValueError, match="broadcast"):
        Verdicts(evidence, np.zeros(3), 0.0)


def test_the_threshold_for_pixels_is_lowered_to_that_for_regions() -> None:
    verdicts = Verdicts(Evidence(MAPS, SCORES), np.array([0.25, 0.75]), 0.5)
    assert verdicts.pixel.tolist() == [0.25, 0.5]


def test_without_maps_there_is_no_threshold_for_pixels() -> None:
    verdicts = Verdicts(Evidence([], SCORES), 0.3, 0.1)
    assert verdicts.pixel.tolist() == [math.inf] * 2
    assert verdicts.decided.tolist() == [False, True]


@pytest.mark.parametrize("thresholds", [(math.nan, 0.0), (0.5, math.nan), (np.array([0.1, math.nan]), 0.0)])
def test_a_threshold_that_is_not_a_number_is_a_fault_of_its_rule(thresholds: tuple) -> None:
    with pytest.raises(ValueError, match="not a number"):
        Verdicts(Evidence(MAPS, SCORES), *thresholds)


def test_thresholds_beyond_what_maps_can_hold_call_all_or_nothing() -> None:
    evidence = Evidence(MAPS, SCORES)
    none, every = Verdicts(evidence, 1e300, 0.1), Verdicts(evidence, -1e300, -1e300)
    assert (none.decided.tolist(), none.region.tolist()) == ([False] * 2, [math.inf] * 2)
    assert (every.decided.tolist(), every.pixel.tolist()) == ([True] * 2, [LOWEST] * 2)
    assert np.isfinite(standing_out(MAPS[0], Verdicts(evidence, 0.5, -1e300).thresholds(0), 4, 6)).all()


def test_significance_is_one_number_for_each_image_or_none() -> None:
    evidence = Evidence(MAPS, SCORES)
    assert np.isnan(Verdicts(evidence, 0.5, 0.5).significance).all()
    assert Verdicts(evidence, 0.5, 0.5, significance=np.array([0.5, 0.1])).significance.tolist() == [0.5, 0.1]
    with pytest.raises(ValueError, match="broadcast"):
        Verdicts(evidence, 0.5, 0.5, significance=np.zeros(3))


def test_nothing_exceeds_what_is_above_all() -> None:
    threshold = above_all(MAPS)
    assert threshold == np.nextafter(np.float32(0.7), np.float32(1))
    assert not Verdicts(Evidence(MAPS, SCORES), threshold, 0.0).decided.any()


@pytest.mark.parametrize(
    ("extent", "expected"), [(0.0, 1.0), (0.5, 2.0), (1.0, 3.0)], ids=["the median", "half way", "the threshold"]
)
def test_a_region_reaches_a_share_of_the_way_down_to_the_median_patch(extent: float, expected: float) -> None:
    maps = [np.array([[0, 1, 1]], np.float32), np.array([[2, 1]], np.float32), np.full((9, 9), 7, np.float32)]
    assert Conformal(extent=extent).reach(maps, 3.0) == expected


def test_a_region_never_reaches_up_and_without_a_map_with_information_no_way_down() -> None:
    maps = [np.array([[0, 1, 1]], np.float32)]
    assert Conformal().reach(maps, 0.5) == 0.5
    assert Conformal().reach(maps, math.inf) == math.inf
    assert Conformal().reach([np.full((2, 2), 7, np.float32)], 3.0) == 3.0
    assert Conformal().reach([], 3.0) == 3.0


@pytest.mark.parametrize(("count", "words"), [(0, "there are 0"), (1, "there is 1")])
def test_fewer_than_two_references_are_no_evidence(count: int, words: str) -> None:
    evidence = Evidence(MAPS, SCORES, MAPS[:count], SCORES[:count])
    with pytest.raises(DataError, match=f"at least 2, and {words}; give more references"):
        Conformal().ordered_references(evidence)


def test_references_are_ordered_by_their_peaks() -> None:
    evidence = Evidence(MAPS, SCORES, MAPS[::-1], SCORES)
    np.testing.assert_array_equal(Conformal().ordered_references(evidence), evidence.peaks)
