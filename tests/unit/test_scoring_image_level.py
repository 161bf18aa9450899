"""From a map to an image score."""

import numpy as np
import pytest
from scipy import ndimage

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
    np.testing.assert_allclose(ImageScoring(smoothing=1.5).smoothed(anomaly_map), expected, atol=2e-3)


def test_no_smoothing_keeps_the_map():
    np.testing.assert_array_equal(ImageScoring().smoothed(MAP), MAP)


def test_smoothing_keeps_a_constant_map_constant():
    np.testing.assert_allclose(ImageScoring(smoothing=2.0).smoothed(np.full((5, 6), 0.3)), 0.3, atol=1e-6)
