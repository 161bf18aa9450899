"""From a map to an image score."""

import numpy as np
import pytest
from scipy import ndimage

from zsad.scoring.base import ImageScore
from zsad.scoring.image_level import ImageScoring

MAP = np.random.default_rng(0).normal(size=(11, 100)).astype(np.float32)


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 11), (0.001, 2), (0.0001, 1), (0.07, 77), (1.0, 1100)])
def test_top_mean_averages_the_highest_patches_rounded_up(fraction, count):
    expected = np.mean(sorted(MAP.ravel().astype(np.float64))[-count:])
    assert ImageScoring(fraction=fraction).image_score(MAP) == pytest.approx(expected, abs=1e-12)


def test_max_and_mean_are_what_they_say():
    assert ImageScoring(aggregate="max").image_score(MAP) == MAP.max()
    assert ImageScoring(aggregate="mean").image_score(MAP) == pytest.approx(MAP.mean(), abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 20)])
def test_smoothing_is_gaussian_and_continues_the_border(shape):
    anomaly_map = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = ndimage.gaussian_filter(anomaly_map.astype(np.float64), 1.5, mode="nearest", truncate=4)
    np.testing.assert_allclose(ImageScoring(smoothing=1.5).smooth(anomaly_map), expected, atol=2e-3)


def test_no_smoothing_keeps_the_map():
    np.testing.assert_array_equal(ImageScoring().smooth(MAP), MAP)


def test_smoothing_keeps_a_constant_map_constant():
    np.testing.assert_allclose(ImageScoring(smoothing=2.0).smooth(np.full((5, 6), 0.3)), 0.3, atol=1e-6)


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 11), (0.0019, 2), (0.0001, 1), (0.07, 77), (0.0727, 79)])
def test_rounded_down_it_is_the_mean_of_as_many_patches_as_the_authors_code_takes(fraction, count):
    values = np.sort(MAP.ravel().astype(np.float64))[::-1]
    assert ImageScoring(fraction=fraction, rounding="down").image_score(MAP) == pytest.approx(values[:count].mean())


@pytest.mark.parametrize("shape", [(28, 28), (32, 46), (5, 9)])
def test_one_per_cent_rounded_down_is_anomalydinos_mean(shape):
    """``int(0.01 n)`` of the sorted distances, or the greatest if that is none."""
    distances = np.random.default_rng(2).random(shape)
    count = int(distances.size * 0.01)
    flat = sorted(distances.ravel(), reverse=True)
    expected = np.mean(flat[:count]) if count else max(flat)
    assert ImageScoring(rounding="down").image_score(distances) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [(9, 11), (1, 1), (1, 7)])
@pytest.mark.parametrize("sigma", [0.0, 0.81, 4.0])
@pytest.mark.parametrize("aggregate", ["max", "top_mean", "mean"])
def test_at_pixel_size_a_map_is_enlarged_between_centres_and_smoothed_as_by_scipy(shape, sigma, aggregate):
    anomaly_map = np.random.default_rng(3).random(shape).astype(np.float32)
    rows, columns = ((np.arange(4 * size) + 0.5) / 4 - 0.5 for size in shape)
    at = np.meshgrid(rows, columns, indexing="ij")
    enlarged = ndimage.map_coordinates(anomaly_map.astype(np.float64), at, order=1, mode="nearest")
    values = np.sort((ndimage.gaussian_filter(enlarged, sigma) if sigma else enlarged).ravel())
    expected = {"max": values[-1], "mean": values.mean(), "top_mean": values[-max(1, int(0.1 * values.size)) :].mean()}
    scoring = ImageScoring(aggregate=aggregate, fraction=0.1, rounding="down", patch_pixels=4, pixel_smoothing=sigma)
    assert scoring.image_score(anomaly_map) == pytest.approx(expected[aggregate], rel=1e-5)


def test_at_pixel_size_the_map_that_is_stored_stays():
    scoring = ImageScoring(patch_pixels=3, pixel_smoothing=2.0)
    found = scoring.complete(ImageScore(0, MAP))
    np.testing.assert_array_equal(found.anomaly_map, MAP)
    assert found.image_score == scoring.image_score(MAP) < ImageScoring().image_score(MAP)
