"""Maps at the size of their images, and the regions that stand out, against slow plain references."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from scipy import ndimage

from zsad.maps import Thresholds, at_image_size, standing_out

TIGHT = 1e-5  # of the highest value: of float32, where a reference is of float64
EIGHT_NEIGHBOURS = np.ones((3, 3))
SIZES = [(1, 1), (3, 7), (12, 15), (40, 33), (128, 64)]  # smaller than the grid, as large, and larger


def float32(value: float) -> float:
    return float(np.float32(value))


def weights(patches: int, pixels: int) -> np.ndarray:
    """What each patch adds to each pixel along an axis, float64 ``[pixel, patch]``, from the definition."""
    found = np.zeros((pixels, patches))
    for pixel in range(pixels):
        place = Fraction(2 * pixel + 1, 2 * pixels) * patches - Fraction(1, 2)
        place = min(max(place, Fraction(0)), Fraction(patches - 1))
        low = int(place)
        found[pixel, low] += 1 - (place - low)
        if place > low:
            found[pixel, low + 1] += place - low
    return found


def plain_at_size(anomaly_map: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = anomaly_map.shape
    return weights(rows, height) @ anomaly_map.astype(np.float64) @ weights(columns, width).T


def plain_marks(anomaly_map: np.ndarray, thresholds: Thresholds, height: int, width: int) -> tuple[np.ndarray, ...]:
    """What must be marked and what may be: pixels too close to the threshold to tell are in the second alone."""
    at_size = plain_at_size(anomaly_map, height, width)
    tolerance = TIGHT * np.abs(anomaly_map).max()
    must, may = np.zeros((height, width), bool), np.zeros((height, width), bool)
    labels, count = ndimage.label(anomaly_map > thresholds.pixel, EIGHT_NEIGHBOURS)
    for label in range(1, count + 1):
        region = labels == label
        peak = anomaly_map[region].max()
        if not peak > thresholds.region:
            continue
        beside = weights(len(region), height) @ region @ weights(region.shape[1], width).T > 0
        must |= beside & (at_size > thresholds.pixel + tolerance)
        may |= beside & (at_size > thresholds.pixel - tolerance)
        for row, column in np.argwhere(region & (anomaly_map == peak)):
            nearest = (
                Fraction(2 * int(row) + 1, 2 * len(region)) * height,
                Fraction(2 * int(column) + 1, 2 * region.shape[1]) * width,
            )
            must[math.floor(nearest[0]), math.floor(nearest[1])] = True
    return must, may | must


def random_maps(count: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    """Maps of few different values, with ties, of many different ones, and constant ones, on all kinds of grids."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        shape = rng.integers(1, 16, size=2)
        if index % 3 == 0:
            anomaly_map = rng.integers(0, 5, size=shape) / 4
        elif index % 3 == 1:
            anomaly_map = rng.gamma(1.0, 0.3, size=shape) - 0.5
        else:
            anomaly_map = np.where(rng.random(shape) < 0.9, 0.2, rng.random(shape))
        if index % 10 == 9:
            anomaly_map[:] = anomaly_map[0, 0]
        yield anomaly_map.astype(np.float32), rng


def random_thresholds(anomaly_map: np.ndarray, rng: np.random.Generator) -> Thresholds:
    """Often values of the map itself, so that there are ties."""
    values = [*rng.choice(anomaly_map.ravel(), 2), *rng.uniform(-0.6, 1.2, 2)]
    low, high = np.sort(rng.choice(np.float32(values), 2))
    return Thresholds(float(low), float(high))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_maps_at_image_size_are_bilinear_between_patch_centres(size: tuple[int, int]) -> None:
    for anomaly_map, _ in random_maps(20):
        found = at_image_size(anomaly_map, *size)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, plain_at_size(anomaly_map, *size), atol=TIGHT)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_is_marked_is_what_a_plain_search_for_regions_marks(size: tuple[int, int]) -> None:
    marked = 0
    for anomaly_map, rng in random_maps(60, seed=1):
        thresholds = random_thresholds(anomaly_map, rng)
        mask = standing_out(anomaly_map, thresholds, *size) > np.float32(thresholds.pixel)
        must, may = plain_marks(anomaly_map, thresholds, *size)
        assert not (must & ~mask).any()
        assert not (mask & ~may).any()
        marked += mask.any()
    assert 10 < marked < 50  # of 60: both kinds are tried


def test_something_is_marked_exactly_if_the_highest_patch_exceeds_the_threshold_of_regions() -> None:
    decided = []
    for anomaly_map, rng in random_maps(600, seed=2):
        thresholds = random_thresholds(anomaly_map, rng)
        height, width = (int(side) for side in rng.integers(1, 40, size=2))
        found = standing_out(anomaly_map, thresholds, height, width)
        assert found.dtype == np.float32
        assert found.shape == (height, width)
        decided.append(bool(anomaly_map.max() > thresholds.region))
        assert (found > np.float32(thresholds.pixel)).any() == decided[-1]
    assert 0.2 < np.mean(decided) < 0.8


def test_scale_and_offset_of_a_map_do_not_change_what_is_marked() -> None:
    for anomaly_map, rng in random_maps(40, seed=3):
        anomaly_map = np.round(anomaly_map * 256) / 256
        low, high = np.sort(np.round(rng.uniform(-0.5, 1, 2) * 256) / 256)
        before = standing_out(anomaly_map, Thresholds(float(low), float(high)), 24, 30) > low
        for scale, offset in ((1024.0, 0.0), (2.0**-20, 0.0), (1.0, 2.0)):
            low_now, high_now = float(scale * low + offset), float(scale * high + offset)
            after = standing_out(scale * anomaly_map + offset, Thresholds(low_now, high_now), 24, 30)
            np.testing.assert_array_equal(after > np.float32(low_now), before)


def test_where_all_regions_stand_out_the_map_is_that_at_image_size() -> None:
    anomaly_map = np.zeros((6, 8), np.float32)
    anomaly_map[2:4, 2:5] = 1
    found = standing_out(anomaly_map, Thresholds(0.25, 0.75), 66, 88)  # 11 pixels a patch: one is at its centre
    np.testing.assert_array_equal(found, at_image_size(anomaly_map, 66, 88))


def test_a_region_that_does_not_stand_out_is_lowered_and_the_other_is_as_it_was() -> None:
    anomaly_map = np.zeros((6, 9), np.float32)
    anomaly_map[1:3, 1:3], anomaly_map[3:5, 6:8] = 1, 0.5
    found, plain = standing_out(anomaly_map, Thresholds(0.25, 0.75), 66, 99), at_image_size(anomaly_map, 66, 99)
    np.testing.assert_array_equal(found[:, :44], plain[:, :44])
    np.testing.assert_array_equal(found[:, 44:], np.minimum(plain[:, 44:], 0.25))
    assert plain[:, 44:].max() == 0.5


def test_regions_that_touch_at_a_corner_are_one() -> None:
    anomaly_map = np.zeros((4, 4), np.float32)
    anomaly_map[1, 1], anomaly_map[2, 2] = 1, 0.5
    mask = standing_out(anomaly_map, Thresholds(0.25, 0.75), 40, 40) > 0.25
    assert mask[15, 15]
    assert mask[25, 25]


def test_a_faint_region_is_marked_whole_though_another_value_is_very_high() -> None:
    """A tolerance that goes with the highest value would take the faint region for rounding."""
    anomaly_map = np.zeros((6, 9), np.float32)
    anomaly_map[1:3, 1:3], anomaly_map[3:5, 6:8] = 1e9, 2
    mask = standing_out(anomaly_map, Thresholds(0.5, 1.0), 60, 90) > 0.5
    assert mask[30:50, 60:80].all()


def test_a_constant_map_is_marked_as_a_whole_or_not_at_all() -> None:
    anomaly_map = np.full((5, 4), 0.3, np.float32)
    value = float32(0.3)
    for thresholds, is_marked in (((0.25, 0.25), True), ((value, value), False), ((0.25, value), False)):
        found = standing_out(anomaly_map, Thresholds(*thresholds), 33, 17)
        assert (found > np.float32(thresholds[0])).all() == is_marked
        assert (found > np.float32(thresholds[0])).any() == is_marked


@pytest.mark.parametrize("thresholds", [(math.inf, math.inf), (0.5, math.inf), (math.inf, 0.5)], ids=str)
def test_nothing_is_marked_by_infinite_thresholds(thresholds: tuple[float, float]) -> None:
    anomaly_map = np.random.default_rng(4).random((5, 6)).astype(np.float32)
    found = standing_out(anomaly_map, Thresholds(*thresholds), 20, 24)
    np.testing.assert_array_equal(found, np.minimum(at_image_size(anomaly_map, 20, 24), np.float32(thresholds[0])))


def test_thresholds_are_compared_as_float32() -> None:
    """0.1 as float32 is above 0.1, which therefore would call what equals the threshold defective."""
    anomaly_map = np.full((2, 2), 0.1, np.float32)
    for value in (0.1, np.float64(0.1), float32(0.1)):
        for pixel in (value, 0.05):
            found = standing_out(anomaly_map, Thresholds(pixel, value), 4, 4)
            assert not (found > np.float32(pixel)).any()


def test_the_map_that_is_given_stays_as_it_is() -> None:
    anomaly_map = np.random.default_rng(5).random((6, 7)).astype(np.float32)
    before = anomaly_map.copy()
    for region in (0.5, 2.0):
        standing_out(anomaly_map, Thresholds(0.4, region), 6, 7)[:] = -1
    np.testing.assert_array_equal(anomaly_map, before)


def test_peaks_that_share_a_pixel_leave_the_highest_there() -> None:
    anomaly_map = np.zeros((9, 9), np.float32)
    anomaly_map[3, 3], anomaly_map[3, 5], anomaly_map[5, 3] = 0.75, 1, 0.875
    assert standing_out(anomaly_map, Thresholds(0.25, 0.5), 1, 1)[0, 0] == 1
