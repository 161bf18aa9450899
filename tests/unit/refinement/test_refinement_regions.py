"""Connected components of a map, and the operations on masks that every refiner shares."""

import numpy as np
import pytest
from scipy import ndimage

from zsad.refinement.regions import (
    area_of,
    box_around,
    pieces_touching,
    regions_above,
    regions_to_outline,
    share_of_area,
    share_of_short_side,
    slices,
    widened,
    without_holes,
)

EIGHT = np.ones((3, 3))


def drawn(*rows: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


@pytest.mark.parametrize("seed", range(5))
def test_regions_are_the_8_connected_components_of_the_thresholded_map(seed):
    anomaly_map = np.random.default_rng(seed).random((23, 31)).astype(np.float32)
    labels, count = ndimage.label(anomaly_map > 0.7, structure=EIGHT)

    regions = regions_above(anomaly_map, 0.7)

    found = {region.within((0, 0, 31, 23)).tobytes() for region in regions}
    assert found == {(labels == label).tobytes() for label in range(1, count + 1)}
    for region in regions:
        x, y = region.peak
        assert region.area == region.mask.sum()
        assert region.score == anomaly_map[y, x] == anomaly_map[slices(region.box)][region.mask].max()
        assert region.mask.any(axis=0).all()
        assert region.mask.any(axis=1).all()


def test_regions_come_highest_score_first_and_small_ones_are_left_out():
    anomaly_map = np.zeros((9, 9), np.float32)
    anomaly_map[0, 0] = 9
    anomaly_map[2:4, 2:4] = 1
    anomaly_map[6:8, 6:8] = 2

    assert [region.score for region in regions_above(anomaly_map, 0.5)] == [9, 2, 1]
    assert [region.box for region in regions_above(anomaly_map, 0.5, 4)] == [(6, 6, 8, 8), (2, 2, 4, 4)]


@pytest.mark.parametrize(("min_area", "scores"), [(0, [9, 3, 2, 1]), (2 / 81, [9, 2, 1]), (5 / 81, [9])])
def test_of_what_is_outlined_crumbs_are_left_out_but_never_the_highest(min_area, scores):
    anomaly_map = np.zeros((9, 9), np.float32)
    anomaly_map[0, 0], anomaly_map[0, 8] = 9, 3
    anomaly_map[2:4, 2:4] = 1
    anomaly_map[6:8, 6:8] = 2

    assert [region.score for region in regions_to_outline(anomaly_map, 0.5, min_area)] == scores
    assert regions_to_outline(anomaly_map, 9.0, min_area) == []


def test_a_value_equal_to_the_threshold_is_not_above_it():
    assert regions_above(np.full((4, 4), 0.5, np.float32), 0.5) == []


def test_pieces_apart_from_the_component_or_too_small_are_dropped():
    mask = drawn("##..#", "##..#", ".....", "#.###")
    component = drawn("#....", ".....", ".....", "#.#..")

    assert pieces_touching(mask, component).tolist() == drawn("##...", "##...", ".....", "#.###").tolist()
    assert pieces_touching(mask, component, 4).tolist() == drawn("##...", "##...", ".....", ".....").tolist()
    assert not pieces_touching(mask, np.zeros_like(mask)).any()


def test_only_small_enclosed_holes_are_filled():
    mask = drawn("##.####", "##.#..#", "#.##..#", "#######")

    filled = without_holes(mask, 3)

    assert filled.tolist() == drawn("##.####", "##.#..#", "####..#", "#######").tolist()
    assert without_holes(mask, 4).tolist() == drawn("##.####", "##.####", "#######", "#######").tolist()


@pytest.mark.parametrize("seed", range(5))
def test_with_no_limit_every_hole_is_filled(seed):
    mask = np.random.default_rng(seed).random((20, 30)) > 0.4

    np.testing.assert_array_equal(without_holes(mask, mask.size), ndimage.binary_fill_holes(mask))


def test_widened_box_stays_in_the_image():
    assert widened((2, 3, 5, 6), 2, height=20, width=20) == (0, 1, 7, 8)
    assert widened((2, 3, 5, 6), 4, height=7, width=8) == (0, 0, 8, 7)


def test_shares_are_at_least_one_pixel():
    assert share_of_area(1e-4, 256, 256) == 7
    assert share_of_area(0, 256, 256) == 1
    assert share_of_short_side(1 / 16, 256, 512) == 16
    assert share_of_short_side(1 / 16, 5, 512) == 1


def test_the_area_of_a_box_is_that_of_its_pixels():
    mask = np.zeros((9, 14), bool)
    mask[2:7, 4:13] = True
    assert area_of(box_around(mask)) == np.count_nonzero(mask)


def test_the_box_around_a_mask_is_the_smallest_and_that_around_nothing_is_none():
    mask = np.zeros((7, 9), bool)
    assert box_around(mask) is None
    mask[2, 3] = mask[5, 7] = True
    assert box_around(mask) == (3, 2, 8, 6)
