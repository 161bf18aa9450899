"""Rules that look at a batch: against plain references, and against what is drawn from known normal patches."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np
import pytest
from scipy import ndimage, stats

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import between
from zsad.deciding.expected_share import ExpectedShare
from zsad.deciding.fixed import Fixed
from zsad.deciding.largest_gap import LargestGap
from zsad.deciding.mebin import MEBin
from zsad.deciding.mixture import Mixture
from zsad.deciding.registry import THRESHOLDS
from zsad.deciding.robust_tail import RobustTail
from zsad.deciding.self_calibration import SelfCalibration
from zsad.deciding.share import Share
from zsad.deciding.subsample_maxima import SubsampleMaxima, quantiles_of_maxima
from zsad.errors import ConfigError

EIGHT_NEIGHBOURS = np.ones((3, 3))
GIVEN: dict[str, dict[str, Any]] = {"share": {"share": 0.3}, "expected_share": {"share": 0.3}}
BATCH_RULES = {
    name: THRESHOLDS.build(name, GIVEN.get(name)) for name in THRESHOLDS.names() if THRESHOLDS.load(name).needs_batch
}
TAILS = {
    "exponential": stats.expon(),
    "normal": stats.norm(),
    "student 5": stats.t(5),
    "pareto 4": stats.pareto(4),
    "gamma 2": stats.gamma(2),
}


def of(maps: Sequence[np.ndarray]) -> Evidence:
    """Of these maps; the image scores are the peaks."""
    return Evidence(maps, np.array([anomaly_map.max() for anomaly_map in maps]))


def of_peaks(peaks: Sequence[float] | np.ndarray) -> Evidence:
    """Of maps with these peaks, in which half of the patches are 0, and one is -1 so that no map is constant."""
    return of([np.array([[0, 0, 0, 0, -1, peak]], dtype=np.float32) for peak in peaks])


def category(seed: int = 0, images: int = 8) -> list[np.ndarray]:
    """Noisy maps of mixed sizes; every other one has a bright region of 3 x 3 patches."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(images):
        anomaly_map = rng.gamma(2.0, 0.05, size=(12 + index % 3, 15)).astype(np.float32)
        if index % 2:
            anomaly_map[4:7, 5:8] += 1 + 0.1 * index
        found.append(anomaly_map)
    return found


def mebin_reference(maps: Sequence[np.ndarray], levels: int, min_interval: int, min_patches: int) -> float:
    maxima = [anomaly_map.max() for anomaly_map in maps]
    thresholds = np.linspace(max(maxima), min(maxima), levels)
    chosen = []
    for anomaly_map in maps:
        runs: list[list[Any]] = []  # of one count: [count, length, last threshold]
        for threshold in thresholds:
            labels, number = ndimage.label(anomaly_map > threshold, EIGHT_NEIGHBOURS)
            count = sum((labels == label).sum() >= min_patches for label in range(1, number + 1))
            if not runs or runs[-1][0] != count:
                runs.append([count, 0, None])
            runs[-1][1:] = runs[-1][1] + 1, threshold
        longest = max((length for count, length, _ in runs if count > 0), default=0)
        if longest >= min_interval:
            chosen.append(next(last for count, length, last in runs if count > 0 and length == longest))
    return float(np.median(chosen))


def test_robust_tail_is_the_median_plus_z_upper_deviations() -> None:
    maps = category()
    ordered = np.sort(np.concatenate([anomaly_map.ravel() for anomaly_map in maps]).astype(np.float64))

    def quantile(share: float) -> float:
        below = int(share * (len(ordered) - 1))
        rest = share * (len(ordered) - 1) - below
        return float(ordered[below] + rest * (ordered[below + 1] - ordered[below]))

    expected = quantile(0.5) + 4 * (quantile(0.841344746) - quantile(0.5))
    assert RobustTail(z=4).threshold(of(maps)) == pytest.approx(expected, abs=1e-12)


def test_robust_tail_of_normal_scores_is_z_standard_deviations_above_their_mean() -> None:
    maps = list(np.random.default_rng(1).normal(5, 2, size=(40, 60, 60)))
    assert RobustTail(z=3).threshold(of(maps)) == pytest.approx(11, abs=0.05)


def test_a_twentieth_of_defective_patches_however_bright_moves_robust_tail_by_less_than_a_fifth() -> None:
    clean = np.random.default_rng(2).normal(size=(10, 40, 40))
    dirty = clean.copy()
    dirty[:, :2] += 1e6
    assert RobustTail(z=3).threshold(of(list(dirty))) == pytest.approx(
        RobustTail(z=3).threshold(of(list(clean))), rel=0.2
    )


@pytest.mark.parametrize(("levels", "min_interval", "min_patches"), [(64, 4, 2), (20, 1, 1), (33, 6, 3)])
def test_mebin_equals_plain_counting(levels: int, min_interval: int, min_patches: int) -> None:
    maps = category(3)
    rule = MEBin(levels=levels, min_interval=min_interval, min_patches=min_patches)
    assert rule.threshold(of(maps)) == pytest.approx(mebin_reference(maps, levels, min_interval, min_patches), abs=1e-9)


def test_mebin_separates_regions_that_stand_out() -> None:
    maps = category(4)
    threshold = MEBin().threshold(of(maps))
    good = np.concatenate([anomaly_map.ravel() for anomaly_map in maps[::2]])
    assert all((anomaly_map[4:7, 5:8] > threshold).all() for anomaly_map in maps[1::2])
    assert (good > threshold).mean() < 0.01


@pytest.mark.parametrize(("min_interval", "is_stable"), [(1, True), (4, True), (5, False)])
def test_mebin_takes_a_count_that_lasts_as_many_levels_as_asked_for(min_interval: int, is_stable: bool) -> None:
    """Levels 8, 7 ... 1: above the last four of them lie the two neighbours, and the other map never counts."""
    striking, other = np.zeros((6, 6), np.float32), np.zeros((6, 6), np.float32)
    striking[0, 0], striking[3, 2:4], other[5, 5] = 8, 4.5, 1
    threshold = MEBin(levels=8, min_interval=min_interval).threshold(of([striking, other]))
    assert threshold == 1 if is_stable else threshold >= 8


def test_mebin_flags_nothing_where_nothing_is_counted() -> None:
    spots = [np.zeros((6, 6), np.float32) for _ in range(2)]
    spots[0][1, 1], spots[1][4, 4] = 8, 1  # regions of a single patch
    assert MEBin(levels=8, min_interval=1).threshold(of(spots)) >= 8


def test_mebin_flags_nothing_if_no_count_is_stable() -> None:
    maps = category(5)
    assert MEBin(levels=8, min_interval=9).threshold(of(maps)) > max(anomaly_map.max() for anomaly_map in maps)


def test_without_maps_robust_tail_goes_by_the_image_scores() -> None:
    scores = np.random.default_rng(11).normal(size=500).astype(np.float32)
    scores[:20] += 50
    found = RobustTail(z=3).decide(Evidence([], scores))
    median, upper = np.quantile(scores.astype(np.float64), (0.5, 0.841344746))
    assert found.region == pytest.approx(np.full(500, median + 3 * (upper - median)), abs=1e-5)
    assert np.isposinf(found.pixel).all()
    assert found.decided[:20].all()


@pytest.mark.parametrize("name", sorted(set(BATCH_RULES) - {"share", "expected_share"}))
def test_constant_maps_of_a_scorer_that_abstains_do_not_count(name: str) -> None:
    maps = category(8, images=12)
    rule, nothing = BATCH_RULES[name], [np.zeros((40, 40), dtype=np.float32)] * 20
    assert rule.decide(of([*maps, *nothing])).region[0] == rule.decide(of(maps)).region[0]


@pytest.mark.parametrize(
    "rule", [Mixture(), LargestGap(), ExpectedShare(share=0.3), ExpectedShare(share=0.4, cut="otsu")]
)
@pytest.mark.parametrize("with_maps", [True, False])
def test_images_of_two_kinds_are_distinguished(rule: ThresholdRule, with_maps: bool) -> None:
    rng = np.random.default_rng(12)
    peaks = np.concatenate([rng.normal(10, 1, size=26), rng.normal(30, 4, size=14)])
    found = rule.decide(of_peaks(peaks) if with_maps else Evidence([], peaks))
    np.testing.assert_array_equal(found.decided, np.arange(40) >= 26)
    assert peaks[:26].max() < found.region[0] < peaks[26:].min()
    assert not found.remarks


@pytest.mark.parametrize("rule", [Mixture(), LargestGap()])
@pytest.mark.parametrize("images", [3, 10, 60])
def test_images_of_one_kind_are_not_called_defective_and_a_remark_says_so(rule: ThresholdRule, images: int) -> None:
    rng, called = np.random.default_rng(13), 0
    for _ in range(8):
        found = rule.decide(of_peaks(rng.gumbel(10, 1, size=images)))
        called += bool(found.decided.any())
        assert found.decided.any() or "none is called" in " ".join(found.remarks)
    assert called <= 2


def test_mixture_cuts_where_both_kinds_are_as_likely() -> None:
    """Two normal distributions of image scores with known parameters, evenly spaced in probability."""
    ranks = (np.arange(400) + 0.5) / 400
    scores = np.concatenate([stats.norm(0, 1).ppf(ranks), stats.norm(8, 2).ppf(ranks[::2])])
    found = Mixture().decide(Evidence([], scores)).region[0]
    values = np.linspace(0, 8, 8001)
    expected = values[np.flatnonzero(2 * stats.norm(0, 1).pdf(values) < stats.norm(8, 2).pdf(values))[0]]
    assert found == pytest.approx(expected, abs=0.3)  # variances have a floor
    assert Mixture(evidence=1e6).decide(Evidence([], scores)).decided.sum() == 0


def test_largest_gap_weighs_gaps_as_plain_counting_does() -> None:
    peaks = np.sort(np.random.default_rng(14).exponential(size=15))
    peaks[11:] += 6
    chances = {}
    for below in range(4, 15):  # images below the gap: more than three, and more than a fifth
        spacings = [(15 - index) * (peaks[index] - peaks[index - 1]) for index in range(1, below + 1)]
        ratio = spacings[-1] / np.mean(spacings[:-1])
        chances[below] = stats.f(2, 2 * (below - 1)).sf(ratio) * 11
    assert min(chances, key=lambda below: chances[below]) == 11
    level = chances[11]
    assert LargestGap(level=1.01 * level).decide(of_peaks(peaks)).decided.sum() == 4
    assert LargestGap(level=0.99 * level).decide(of_peaks(peaks)).decided.sum() == 0


def test_largest_gap_in_exponential_peaks_is_found_as_rarely_as_said() -> None:
    rng = np.random.default_rng(15)
    found = [LargestGap(level=0.2).decide(of_peaks(rng.exponential(size=25))).decided.any() for _ in range(400)]
    assert 0.08 < np.mean(found) < 0.24  # Bonferroni's bound of 0.2; the deviation is 0.02


@pytest.mark.parametrize(("share", "called"), [(0, 0), (0.04, 0), (0.05, 1), (0.25, 3), (0.3, 3), (0.96, 10), (1, 10)])
def test_share_calls_as_many_as_asked_for(share: float, called: int) -> None:
    peaks = np.random.default_rng(16).permutation(10) + 1.0
    found = Share(share=share).decide(of_peaks(peaks))
    np.testing.assert_array_equal(found.decided, peaks > 10 - called)
    assert not found.remarks


def test_share_treats_equal_images_alike_and_says_so() -> None:
    found = Share(share=0.5).decide(of_peaks([1, 2, 2, 3]))
    np.testing.assert_array_equal(found.decided, [False, False, False, True])
    assert found.remarks == ("Equal peaks get equal verdicts, so 1 of 4 images are called defective, not 2.",)


@pytest.mark.parametrize(
    ("share", "tolerance", "called"), [(0.3, 0.2, 4), (0.1, 0.15, 2), (0.2, 0, 2), (0.8, 0.1, 8), (0, 0, 0), (1, 0, 10)]
)
def test_expected_share_cuts_in_the_widest_gap_near_it(share: float, tolerance: float, called: int) -> None:
    """Heights double or so; the widest gaps are below the four highest, then below the two highest."""
    peaks = np.array([1, 1.1, 1.3, 1.4, 1.5, 1.6, 3.2, 3.3, 5.5, 5.6])
    found = ExpectedShare(share=share, tolerance=tolerance).decide(of_peaks(peaks))
    assert found.decided.sum() == called
    assert found.decided[10 - called :].all()


def test_expected_share_says_if_no_cut_is_near() -> None:
    found = ExpectedShare(share=0.5, tolerance=0.1).decide(of_peaks([1, 1, 1, 1, 1, 1, 1, 1, 2, 3]))
    assert found.decided.sum() == 2
    assert found.remarks == (
        "No cut between two peaks is near the expected share, so 2 of 10 images are called defective.",
    )


def test_expected_share_by_otsu_is_the_highest_variance_between_both_sides() -> None:
    scores = np.sort(np.random.default_rng(17).normal(size=30))
    between_sides = {
        called: called * (30 - called) * (scores[30 - called :].mean() - scores[: 30 - called].mean()) ** 2
        for called in range(3, 10)  # 0.2 of them, 0.1 fewer or more
    }
    found = ExpectedShare(share=0.2, cut="otsu").decide(Evidence([], scores))
    assert found.decided.sum() == max(between_sides, key=lambda called: between_sides[called])


@pytest.mark.parametrize("name", ["share", "expected_share"])
@pytest.mark.parametrize("share", [None, -0.1, 1.1])
def test_the_share_is_given_and_is_one(name: str, share: float | None) -> None:
    with pytest.raises(ConfigError, match="share"):
        THRESHOLDS.build(name, {} if share is None else {"share": share})


def test_a_cut_lies_between_neighbouring_numbers() -> None:
    low = np.float32(1)
    high = np.nextafter(low, np.float32(2))
    assert between(float(low), float(high)) == low
    assert between(1, 2) == 1.5


@pytest.mark.parametrize("quantile", [0.25, 0.5])
def test_quantiles_of_maxima_are_those_of_all_sub_samples(quantile: float) -> None:
    """The chance that all of the drawn patches are as low reaches the quantile at this value, and at none before."""
    maps = [np.sort(one) for one in np.random.default_rng(18).normal(size=(5, 12))]
    for drawn in (1, 3, 12):
        found = quantiles_of_maxima(maps, np.array([drawn / 12]), quantile)[0]
        values = np.sort(np.concatenate(maps))
        chances = [
            np.mean([comb(int((one <= value).sum()), drawn) for one in maps]) / comb(12, drawn) for value in values
        ]
        assert found == pytest.approx(values[np.flatnonzero(np.array(chances) >= quantile)[0]], abs=1e-9)


def rates(rule: ThresholdRule, tail: str, contamination: float) -> float:
    """The mean share of normal images above the threshold that a rule sets on batches with defective ones."""
    images, patches, batches, kind = 60, 1024, 6, TAILS[tail]
    rng, found = np.random.default_rng(19), []
    for _ in range(batches):
        values = kind.rvs((images, patches), random_state=rng).astype(np.float32)
        values[: round(contamination * images), : patches // 10] += 4 * kind.std()
        found.append(-np.expm1(patches * kind.logcdf(rule.decide(of(values[:, None])).region[0])))
    return float(np.mean(found))


@pytest.mark.parametrize("tail", sorted(set(TAILS) - {"gamma 2"}))
@pytest.mark.parametrize("rule", [SelfCalibration(), SubsampleMaxima()])
def test_the_share_of_false_alarms_is_the_nominal_one_within_a_factor_of_two(rule: ThresholdRule, tail: str) -> None:
    assert 0.05 < rates(rule, tail, 0.3) < 0.2


def test_self_calibration_does_not_take_the_beginning_of_a_skewed_tail_for_a_light_one() -> None:
    assert 0.005 < rates(SelfCalibration(), "gamma 2", 0.3) < 0.2


@pytest.mark.parametrize("defective", [0, 0.05, 0.5, 0.8])
@pytest.mark.parametrize("covered", [0.01, 1 / 3])
@pytest.mark.parametrize("rule", [SelfCalibration(), SubsampleMaxima()])
def test_however_many_images_are_defective_few_good_ones_are_called(
    rule: ThresholdRule, covered: float, defective: float
) -> None:
    rng = np.random.default_rng(20)
    values = rng.normal(size=(200, 20, 20)).astype(np.float32)
    count = round(defective * len(values))
    values[:count].reshape(count, 400)[:, : round(covered * 400)] += 30
    found = rule.decide(of(values))
    assert found.decided[count:].mean() <= 0.2
    assert found.nominal == 0.1
    if covered < 0.1 and defective <= 0.5:
        assert found.decided[:count].all()


def test_p_values_of_self_calibration_are_as_small_as_good_images_make_them() -> None:
    values = np.random.default_rng(21).normal(size=(200, 1, 400)).astype(np.float32)
    found = SelfCalibration().decide(of(values))
    assert found.measure == "p_value"
    np.testing.assert_array_equal(found.significance < 0.1, found.decided)
    for share in (0.1, 0.5, 0.9):
        assert np.mean(found.significance < share) == pytest.approx(share, abs=0.15)


def test_a_batch_of_few_images_is_said_to_tell_little() -> None:
    few: dict[int, Verdicts] = {}
    for rule in (SelfCalibration(), SubsampleMaxima()):
        few = {count: rule.decide(of(category(22, images=count))) for count in (1, 7, 8)}
        assert [bool(found.remarks) for found in few.values()] == [True, True, False]


def test_fixed_values_are_what_decides_and_what_marks() -> None:
    maps = category(23)
    found = Fixed(image=1.2, pixel=0.9).decide(of(maps))
    assert set(found.region) == {float(np.float32(1.2))}
    assert set(found.pixel) == {float(np.float32(0.9))}
    np.testing.assert_array_equal(found.decided, of(maps).peaks > np.float32(1.2))
    alone = Fixed(pixel=0.9).decide(of(maps))
    assert set(alone.region) == set(alone.pixel) == {float(np.float32(0.9))}


@pytest.mark.parametrize("params", [{}, {"image": 0.3, "pixel": 0.4}, {"image": True}, {"pixel": False}])
def test_fixed_values_must_be_given_and_agree(params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        THRESHOLDS.build("fixed", params)
