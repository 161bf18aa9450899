"""The guided filter and the refiner built on it, against a regression in every window and by what they must recover."""

import cv2
import numpy as np
import pytest

from zsad.maps import at_image_size
from zsad.refinement.guided import Guided, guided_filter
from zsad.refinement.regions import regions_above, widened


def window_regression(guide: np.ndarray, source: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """The definition: fit every window with ridge regression, then average the fits that cover a pixel."""
    height, width = source.shape
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            rows = slice(max(0, row - radius), row + radius + 1)
            columns = slice(max(0, column - radius), column + radius + 1)
            colours, values = guide[rows, columns].reshape(-1, 3), source[rows, columns].ravel()
            sigma = np.cov(colours.T, bias=True) + eps * np.eye(3)
            covariance = ((colours - colours.mean(0)) * (values - values.mean())[:, None]).mean(0)
            a = np.linalg.solve(sigma, covariance)
            b = values.mean() - a @ colours.mean(0)
            total[rows, columns] += guide[rows, columns] @ a + b
            count[rows, columns] += 1
    return total / count


def box_mean(values: np.ndarray, radius: int) -> np.ndarray:
    height, width = values.shape
    return np.array(
        [
            [
                values[max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1].mean()
                for column in range(width)
            ]
            for row in range(height)
        ]
    )


def disc(size: int, centre: tuple[int, int], radius: int) -> np.ndarray:
    return cv2.circle(np.zeros((size, size), np.uint8), centre, radius, 1, -1) > 0


def coarse_map(mask: np.ndarray, grid: int = 32) -> np.ndarray:
    patches = cv2.resize(mask.astype(np.float32), (grid, grid), interpolation=cv2.INTER_AREA)
    return at_image_size(cv2.GaussianBlur(patches, (0, 0), 1.0), *mask.shape)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


@pytest.mark.parametrize(("radius", "eps"), [(1, 1e-2), (3, 1e-4), (20, 1e-3)])
def test_guided_filter_equals_the_regression_in_every_window_borders_included(radius, eps):
    rng = np.random.default_rng(0)
    guide, source = rng.random((13, 17, 3)), rng.standard_normal((13, 17))

    filtered = guided_filter(guide, source, radius, eps)

    np.testing.assert_allclose(filtered, window_regression(guide, source, radius, eps), rtol=1e-9, atol=1e-9)


def test_guided_filter_is_stable_where_all_channels_are_equal():
    rng = np.random.default_rng(1)
    guide, source = np.repeat(rng.random((12, 12, 1)), 3, axis=2), rng.random((12, 12))

    filtered = guided_filter(guide, source, 2, 1e-6)

    np.testing.assert_allclose(filtered, window_regression(guide, source, 2, 1e-6), rtol=1e-5, atol=1e-5)


def test_constant_guide_gives_the_box_mean_of_the_box_mean():
    source = np.random.default_rng(2).random((11, 14))

    filtered = guided_filter(np.full((11, 14, 3), 0.3), source, 2, 1e-4)

    np.testing.assert_allclose(filtered, box_mean(box_mean(source, 2), 2), rtol=1e-9)


def test_source_that_is_affine_in_the_guide_is_kept():
    guide = np.random.default_rng(3).random((20, 20, 3))
    source = guide @ [0.5, -2.0, 1.0] + 0.25

    np.testing.assert_allclose(guided_filter(guide, source, 4, 1e-12), source, atol=1e-8)


def test_filtering_only_around_the_regions_equals_filtering_the_whole_image():
    rng = np.random.default_rng(4)
    image = rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)
    truth = disc(160, (50, 60), 9) | disc(160, (90, 80), 7)
    anomaly_map, refiner = coarse_map(truth) + 0.1 * rng.random((160, 160), np.float32), Guided()
    regions = regions_above(anomaly_map, 0.3, 20)
    whole = guided_filter(image / 255.0, anomaly_map, 10, refiner.eps)

    assert len(regions) == 2
    for index, region in enumerate(regions):
        left, top, right, bottom = widened(region.box, 10, 160, 160)
        for row, column in [(top, left), (top, right - 1), (bottom - 1, left), (bottom - 1, right - 1)]:
            for level in (whole[row, column] - 1e-9, whole[row, column] + 1e-9):
                mask = list(refiner.outlines(image, anomaly_map, level, regions))[index].mask
                np.testing.assert_array_equal(mask, whole[top:bottom, left:right] > level)


def test_guided_recovers_a_disc_that_the_patch_grid_blurs():
    rng = np.random.default_rng(5)
    truth = disc(256, (120, 100), 14)
    image = np.clip(np.where(truth, 90, 150)[..., None] + rng.normal(0, 6, (256, 256, 3)), 0, 255).astype(np.uint8)
    anomaly_map = coarse_map(truth)

    refinement = Guided().refine(image, anomaly_map, 0.25)

    assert [region["accepted"] for region in refinement.regions] == [True]
    assert iou(anomaly_map > 0.25, truth) < 0.75
    assert iou(refinement.mask, truth) > 0.95


def test_guided_does_not_claim_an_outline_where_the_image_has_no_edge():
    truth = disc(256, (120, 100), 14)
    anomaly_map = coarse_map(truth)
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(128, 8, (256, 256, 1)).clip(0, 255).astype(np.uint8)

        refinement = Guided().refine(np.repeat(noise, 3, axis=2), anomaly_map, 0.25)

        assert "no edge" in refinement.regions[0]["reason"]
        np.testing.assert_array_equal(refinement.mask, anomaly_map > 0.25)
