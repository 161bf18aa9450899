"""Label-free thresholds against plain references, and what every rule must do."""

import numpy as np
import pytest
from scipy import ndimage

from zsad.deciding.base import BatchRule, Evidence
from zsad.deciding.mebin import MEBin
from zsad.deciding.registry import THRESHOLDS
from zsad.deciding.robust_tail import RobustTail

EIGHT_NEIGHBOURS = np.ones((3, 3))


def test_rules_say_whether_they_need_maps_or_references():
    rules = {name: THRESHOLDS.build(name, {"image": 1} if name == "fixed" else {}) for name in THRESHOLDS.names()}
    assert {name for name, rule in rules.items() if rule.needs_maps} == {"mebin"}
    assert {name for name, rule in rules.items() if rule.needs_references} == {"reference_quantile"}
    assert THRESHOLDS.build("fixed", {"pixel": 1}).needs_maps


def category(seed=0, images=8):
    """Noisy maps of mixed sizes; every other one has a bright region of 3 x 3 patches."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(images):
        anomaly_map = rng.gamma(2.0, 0.05, size=(12 + index % 3, 15)).astype(np.float32)
        if index % 2:
            anomaly_map[4:7, 5:8] += 1 + 0.1 * index
        found.append(anomaly_map)
    return found


def mebin_reference(maps, levels, min_interval, min_patches):
    maxima = [anomaly_map.max() for anomaly_map in maps]
    thresholds = np.linspace(max(maxima), min(maxima), levels)
    chosen = []
    for anomaly_map in maps:
        runs = []  # of one count: [count, length, last threshold]
        for threshold in thresholds:
            labels, number = ndimage.label(anomaly_map > threshold, EIGHT_NEIGHBOURS)
            count = sum((labels == label).sum() >= min_patches for label in range(1, number + 1))
            if not runs or runs[-1][0] != count:
                runs.append([count, 0, None])
            runs[-1][1:] = runs[-1][1] + 1, threshold
        longest = max((length for count, length, _ in runs if count > 0), default=0)
        if longest >= min_interval:
            chosen.append(next(last for count, length, last in runs if count > 0 and length == longest))
    return np.median(chosen)


def test_robust_tail_is_the_median_plus_z_upper_deviations():
    maps = category()
    ordered = np.sort(np.concatenate([anomaly_map.ravel() for anomaly_map in maps]).astype(np.float64))

    def quantile(share):
        below = int(share * (len(ordered) - 1))
        rest = share * (len(ordered) - 1) - below
        return ordered[below] + rest * (ordered[below + 1] - ordered[below])

    expected = quantile(0.5) + 4 * (quantile(0.841344746) - quantile(0.5))
    assert RobustTail(z=4).threshold(maps) == pytest.approx(expected, abs=1e-12)


def test_robust_tail_of_normal_scores_is_z_standard_deviations_above_their_mean():
    maps = list(np.random.default_rng(1).normal(5, 2, size=(40, 60, 60)))
    assert RobustTail(z=3).threshold(maps) == pytest.approx(11, abs=0.05)


def test_a_twentieth_of_defective_patches_however_bright_moves_robust_tail_by_less_than_a_fifth():
    clean = np.random.default_rng(2).normal(size=(10, 40, 40))
    dirty = clean.copy()
    dirty[:, :2] += 1e6
    assert RobustTail(z=3).threshold(list(dirty)) == pytest.approx(RobustTail(z=3).threshold(list(clean)), rel=0.2)


@pytest.mark.parametrize(("levels", "min_interval", "min_patches"), [(64, 4, 2), (20, 1, 1), (33, 6, 3)])
def test_mebin_equals_plain_counting(levels, min_interval, min_patches):
    maps = category(3)
    rule = MEBin(levels=levels, min_interval=min_interval, min_patches=min_patches)
    assert rule.threshold(maps) == pytest.approx(mebin_reference(maps, levels, min_interval, min_patches), abs=1e-9)


def test_mebin_separates_regions_that_stand_out():
    maps = category(4)
    threshold = MEBin().threshold(maps)
    good = np.concatenate([anomaly_map.ravel() for anomaly_map in maps[::2]])
    assert all((anomaly_map[4:7, 5:8] > threshold).all() for anomaly_map in maps[1::2])
    assert (good > threshold).mean() < 0.01


@pytest.mark.parametrize(("min_interval", "is_stable"), [(1, True), (4, True), (5, False)])
def test_mebin_takes_a_count_that_lasts_as_many_levels_as_asked_for(min_interval, is_stable):
    """Levels 8, 7 ... 1: above the last four of them lie the two neighbours, and the other map never counts."""
    striking, other = np.zeros((6, 6), np.float32), np.zeros((6, 6), np.float32)
    striking[0, 0], striking[3, 2:4], other[5, 5] = 8, 4.5, 1
    threshold = MEBin(levels=8, min_interval=min_interval).threshold([striking, other])
    assert threshold == 1 if is_stable else threshold >= 8


def test_mebin_flags_nothing_where_nothing_is_counted():
    spots = [np.zeros((6, 6), np.float32) for _ in range(2)]
    spots[0][1, 1], spots[1][4, 4] = 8, 1  # regions of a single patch
    assert MEBin(levels=8, min_interval=1).threshold(spots) >= 8


def test_mebin_flags_nothing_if_no_count_is_stable():
    maps = category(5)
    assert MEBin(levels=8, min_interval=9).threshold(maps) > max(anomaly_map.max() for anomaly_map in maps)


@pytest.fixture(params=[name for name in THRESHOLDS.names() if issubclass(THRESHOLDS.load(name), BatchRule)])
def rule(request):
    return THRESHOLDS.build(request.param)


@pytest.mark.parametrize(("factor", "offset"), [(4.0, 0.0), (1.0, 8.0), (0.25, -2.0)])
def test_a_change_of_unit_changes_the_threshold_alike(rule, factor, offset):
    maps = [np.round(anomaly_map * 4096) / 4096 for anomaly_map in category(6)]
    changed = [factor * anomaly_map + offset for anomaly_map in maps]
    assert rule.threshold(changed) == pytest.approx(factor * rule.threshold(maps) + offset, abs=1e-6)


def test_the_order_of_the_images_does_not_matter(rule):
    maps = category(7)
    assert rule.threshold(maps[::-1]) == rule.threshold(maps)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_nothing_exceeds_the_threshold_of_constant_maps(rule, value):
    maps = [np.full((4, 5), value, dtype=np.float32), np.full((3, 3), value, dtype=np.float32)]
    threshold = rule.threshold(maps)
    assert value < threshold < value + 1e-6
    assert not any((anomaly_map > threshold).any() for anomaly_map in maps)


def test_constant_maps_of_a_scorer_that_abstains_do_not_count(rule):
    maps = category(8)
    assert rule.threshold([*maps, *[np.zeros((40, 40), dtype=np.float32)] * 20]) == rule.threshold(maps)


def test_one_image_has_a_threshold(rule):
    assert np.isfinite(rule.threshold(category(9, images=1)))


def test_one_threshold_of_the_maps_serves_patches_and_images(rule):
    maps = category(10)
    found = rule.thresholds(Evidence(maps, np.array([anomaly_map.max() for anomaly_map in maps])))
    assert found.pixel == found.image == rule.threshold(maps)


def test_without_maps_robust_tail_goes_by_the_image_scores_and_flags_no_pixel():
    scores = np.random.default_rng(11).normal(size=500)
    scores[:20] += 50
    pixel, image = RobustTail(z=3).thresholds(Evidence([], scores))
    ordered = np.sort(scores)
    assert image == pytest.approx(
        np.quantile(ordered, 0.5) + 3 * np.diff(np.quantile(ordered, (0.5, 0.841344746)))[0], abs=1e-5
    )
    assert np.isinf(pixel)
    assert (scores > image)[:20].all()
