"""What of a component is told to a model: box, points inside and outside, and a first guess of the mask."""

import warnings

import cv2
import numpy as np
import pytest

from zsad.errors import ConfigError
from zsad.maps import at_image_size
from zsad.refinement.prompts import (
    DEPTH_WEIGHT,
    LEAST_HEIGHT,
    MASK_PROMPT_SIDE,
    PromptOptions,
    interior_peaks,
    low_places,
    mask_prompt,
    prompt_of,
)
from zsad.refinement.regions import regions_above, widened
from zsad.segmentation.base import MASK_PROMPT_RANGE

SHAPES = [(60, 90), (75, 41), (33, 33)]


def random_map(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """A patch grid of steps of 1/64, at the size of an image."""
    grid = np.random.default_rng(seed).integers(0, 128, (7, 9)) / 64
    return at_image_size(grid, *shape)


def painted(*boxes: tuple[int, int, int, int, float], shape=(80, 128)) -> np.ndarray:
    """Zero but for boxes ``(left, top, right, bottom, value)``."""
    anomaly_map = np.zeros(shape, np.float32)
    for left, top, right, bottom, value in boxes:
        anomaly_map[top:bottom, left:right] = value
    return anomaly_map


def highest(anomaly_map: np.ndarray, threshold: float):
    return regions_above(anomaly_map, threshold)[0]


def greedy(merits: dict[tuple[int, int], float], count: int, spacing: float) -> list[list[int]]:
    """Places ``(x, y)`` by merit, row by row where equal, without those near to an earlier one."""
    chosen: list[tuple[int, int]] = []
    for x, y in sorted(merits, key=lambda place: (-merits[place], place[1], place[0])):
        if len(chosen) < count and all((x - a) ** 2 + (y - b) ** 2 >= max(spacing, 1) ** 2 for a, b in chosen):
            chosen.append((x, y))
    return [list(place) for place in chosen]


# --- box ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((40, 30, 60, 45), 0.05, (36, 26, 64, 49)),
        ((0, 0, 10, 6), 0.05, (0, 0, 14, 10)),
        ((120, 70, 128, 80), 0.1, (112, 62, 128, 80)),
        ((40, 30, 60, 45), 0, (40, 30, 60, 45)),
        ((40, 30, 60, 45), 0.5, (0, 0, 100, 80)),
    ],
)
def test_the_box_is_padded_by_a_share_of_the_shorter_side_and_cut_to_the_image(box, margin, expected):
    anomaly_map = painted((*box, 1))

    assert prompt_of(highest(anomaly_map, 0.5), anomaly_map, 0.5, PromptOptions(box_margin=margin)).box == expected


# --- points inside ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_points_inside_are_high_and_deep_in_the_component_and_apart(seed, shape):
    anomaly_map = random_map(seed, shape)
    for region in regions_above(anomaly_map, 1.2):
        component = region.within((0, 0, shape[1], shape[0]))
        depth = cv2.distanceTransform(np.pad(component, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
        relative = (anomaly_map - 1.2) / (anomaly_map[component] - 1.2).max()
        merits = {
            (int(x), int(y)): float(relative[y, x] + DEPTH_WEIGHT * depth[y, x] / depth.max())
            for y, x in np.argwhere(component & (relative >= LEAST_HEIGHT))
        }
        extent = max(region.box[2] - region.box[0], region.box[3] - region.box[1])

        found = interior_peaks(region, anomaly_map, 1.2, 3)

        assert 1 <= len(found) <= 3
        # A float32 merit may tie with its neighbour where a float64 one does not: compare merits, not places.
        expected = greedy(merits, 3, extent / 3)
        assert [merits[x, y] for x, y in found.tolist()] == pytest.approx([merits[x, y] for x, y in expected], abs=1e-6)
        for place, (x, y) in enumerate(found):
            assert component[y, x]
            for a, b in found[:place]:
                assert np.hypot(x - a, y - b) >= extent / 3


def test_a_summit_is_the_first_point_and_the_next_ones_are_lower_and_apart():
    anomaly_map = np.zeros((60, 120), np.float32)
    for column, height in ((15, 0.8), (60, 1.0), (105, 0.9)):
        anomaly_map[30, column] = height
    anomaly_map = cv2.GaussianBlur(anomaly_map, (0, 0), 12)
    threshold = float(anomaly_map.max()) / 8
    (region,) = regions_above(anomaly_map, threshold)

    found = interior_peaks(region, anomaly_map, threshold, 3)

    assert np.abs(found - [(60, 30), (105, 30), (15, 30)]).max() <= 4  # the ridge between them counts a little
    assert np.abs(interior_peaks(region, anomaly_map, threshold, 1) - [(60, 30)]).max() <= 1


def test_a_low_second_summit_is_no_point():
    anomaly_map = painted((10, 10, 30, 30, 2.0), (30, 10, 90, 30, 0.9))

    assert len(interior_peaks(highest(anomaly_map, 0.5), anomaly_map, 0.5, 3)) == 1


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(10, 10, 21, 21, 1)], (15, 15)),
        ([(0, 0, 11, 11, 1)], (5, 5)),
        ([(10, 10, 70, 13, 1), (40, 10, 59, 29, 1)], (49, 19)),
    ],
)
def test_on_a_plateau_the_point_lies_in_the_middle_of_its_widest_part(boxes, expected):
    anomaly_map = painted(*boxes)

    ((x, y),) = interior_peaks(highest(anomaly_map, 0.5), anomaly_map, 0.5, 1)

    assert np.hypot(x - expected[0], y - expected[1]) <= 1.5


def test_a_point_avoids_the_hole_of_a_ring():
    anomaly_map = painted((20, 20, 61, 61, 1), (30, 30, 51, 51, 0))

    for x, y in interior_peaks(highest(anomaly_map, 0.5), anomaly_map, 0.5, 3):
        assert anomaly_map[y, x] == 1


def test_a_component_of_one_pixel_is_its_own_point():
    anomaly_map = painted((7, 5, 8, 6, 1))

    assert interior_peaks(highest(anomaly_map, 0.5), anomaly_map, 0.5, 3).tolist() == [[7, 5]]


# --- points outside -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("seed", "count"), [(0, 3), (1, 3), (2, 3), (3, 3), (4, 16)])
def test_points_outside_are_the_lowest_places_nearby_and_on_no_component(seed, count, shape):
    anomaly_map, threshold, reach = random_map(seed, shape), 1.2, 8
    for region in regions_above(anomaly_map, threshold):
        left, top, right, bottom = widened(region.box, reach, *shape)
        free = {
            (x, y): -float(anomaly_map[y, x])
            for x in range(left, right)
            for y in range(top, bottom)
            if anomaly_map[y, x] <= threshold
        }
        middle = np.median(list(free.values()))

        found = low_places(region, anomaly_map, threshold, count, reach)

        low = {place: merit for place, merit in free.items() if merit >= middle}
        assert found.tolist() == greedy(low, count, reach / 2)
        assert len(found) >= 1


def test_there_are_no_points_outside_a_component_that_is_the_image():
    anomaly_map = np.linspace(1, 2, 600, dtype=np.float32).reshape(20, 30)

    prompt = prompt_of(highest(anomaly_map, 0.5), anomaly_map, 0.5, PromptOptions(negative_points=4))

    assert prompt.labels.tolist() == [1]
    assert prompt.box == (0, 0, 30, 20)


# --- counts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", [0, 1, 3])
@pytest.mark.parametrize("outside", [0, 2, 5])
def test_as_many_points_are_given_as_are_asked_for(inside, outside):
    anomaly_map = painted((30, 20, 90, 60, 1))
    options = PromptOptions(positive_points=inside, negative_points=outside)

    prompt = prompt_of(highest(anomaly_map, 0.5), anomaly_map, 0.5, options)

    assert prompt.labels.tolist() == [1] * inside + [0] * outside
    assert prompt.points.shape == (inside + outside, 2)
    assert prompt.points.dtype == np.float32
    for (x, y), label in zip(prompt.points.astype(int), prompt.labels, strict=True):
        assert (anomaly_map[y, x] > 0.5) == bool(label)


@pytest.mark.parametrize(
    "wrong", [{"positive_points": 4}, {"negative_points": -1}, {"box_margin": 0.6}, {"surroundings": 0}]
)
def test_a_count_or_share_out_of_range_is_named(wrong):
    with pytest.raises(ConfigError, match=rf"here: {next(iter(wrong))} = "):
        PromptOptions.build(wrong, where="here")


# --- mask prompt --------------------------------------------------------------------------------------------------


def test_the_mask_prompt_is_0_at_the_threshold_and_fills_its_range_from_the_lowest_value_to_the_peak():
    anomaly_map = np.array([[-2.0, -1.0, 0.5, 0.5], [1.0, 2.5, 4.5, 9.0]], np.float32)

    logits = mask_prompt(anomaly_map, 0.5, peak=4.5)

    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits / MASK_PROMPT_RANGE, [[-1, -0.6, 0, 0], [0.125, 0.5, 1, 1]], atol=1e-6)


@pytest.mark.parametrize("shape", [(300, 500), (512, 256), (40, 30), (1, 700)])
def test_the_mask_prompt_is_reduced_to_what_models_take_and_stays_in_range(shape):
    anomaly_map = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    logits = mask_prompt(anomaly_map, 0.3, 2.0)

    scale = min(1, MASK_PROMPT_SIDE / max(shape))
    assert logits.shape == tuple(max(1, round(scale * side)) for side in shape)
    assert np.abs(logits).max() <= MASK_PROMPT_RANGE


def test_a_reduced_mask_prompt_is_that_of_the_means_of_blocks():
    anomaly_map = np.random.default_rng(1).random((512, 256)).astype(np.float32)
    means = anomaly_map.reshape(256, 2, 128, 2).mean(axis=(1, 3), dtype=np.float64)
    lowest = anomaly_map.min()

    logits = mask_prompt(anomaly_map, 0.5, 1.0)

    expected = np.where(means > 0.5, (means - 0.5) / 0.5, (means - 0.5) / (0.5 - lowest))
    np.testing.assert_allclose(logits, 10 * expected, atol=1e-4)


@pytest.mark.parametrize("lowest", [1.0, 3.0])
def test_a_map_that_is_nowhere_below_the_threshold_gives_no_warning_and_nothing_negative(lowest):
    anomaly_map = np.linspace(lowest, 300, 1200, dtype=np.float32).reshape(30, 40)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logits = mask_prompt(anomaly_map, 1.0, 300.0)

    np.testing.assert_allclose(logits, 10 * (anomaly_map - 1) / 299, atol=1e-4)


def test_the_mask_prompt_shows_its_own_component_alone():
    anomaly_map = painted((10, 10, 20, 20, 2.0), (40, 40, 60, 60, 9.0), shape=(80, 80))
    own = regions_above(anomaly_map, 1.0)[1]

    mask = prompt_of(own, anomaly_map, 1.0, PromptOptions()).mask

    alone = np.full((80, 80), -MASK_PROMPT_RANGE)
    alone[10:20, 10:20] = MASK_PROMPT_RANGE
    np.testing.assert_allclose(mask, alone)


def test_the_mask_prompt_may_be_left_out():
    anomaly_map = painted((30, 20, 90, 60, 1))

    assert prompt_of(highest(anomaly_map, 0.5), anomaly_map, 0.5, PromptOptions(mask_prompt=False)).mask is None


# --- the whole prompt ---------------------------------------------------------------------------------------------


def assert_same(prompt, other, moved=(0, 0)):
    x, y = moved
    assert other.box == tuple(np.add(prompt.box, (x, y, x, y)))
    np.testing.assert_array_equal(other.points, prompt.points + moved)
    np.testing.assert_array_equal(other.labels, prompt.labels)


@pytest.mark.parametrize(("unit", "offset"), [(4, -3), (0.5, 0), (1, -8), (2.0**-20, 0), (2.0**20, 0)])
@pytest.mark.parametrize("seed", range(3))
def test_unit_and_offset_of_the_map_do_not_matter(seed, unit, offset):
    options = PromptOptions(positive_points=3, negative_points=4)
    anomaly_map, threshold = np.round(random_map(seed, (60, 90)) * 1024) / 1024, 1.25
    changed = (unit * anomaly_map + offset).astype(np.float32)

    regions = regions_above(anomaly_map, threshold)

    assert regions
    for region, same in zip(regions, regions_above(changed, unit * threshold + offset), strict=True):
        prompt = prompt_of(region, anomaly_map, threshold, options)
        other = prompt_of(same, changed, unit * threshold + offset, options)
        assert_same(prompt, other)
        np.testing.assert_allclose(other.mask, prompt.mask, atol=1e-5)


@pytest.mark.parametrize("window", [(20, 0, 80, 60), (32, 0, 92, 60), (0, 0, 60, 60)])
def test_the_prompt_in_a_window_is_that_in_the_image_moved(window):
    left, top, right, bottom = window
    anomaly_map = painted((40, 20, 50, 33, 2), shape=(60, 128)) + random_map(5, (60, 128)) / 8
    options = PromptOptions(positive_points=2, negative_points=3, box_margin=0.05)
    region = highest(anomaly_map, 1)
    local = region._replace(box=tuple(np.subtract(region.box, (left, top, left, top)).tolist()))

    prompt = prompt_of(region, anomaly_map, 1, options)
    inside = prompt_of(local, anomaly_map[top:bottom, left:right], 1, options)

    assert_same(inside, prompt, (left, top))


def test_the_mask_prompt_of_a_window_is_cut_from_that_of_the_image_where_the_lowest_value_is_in_both():
    anomaly_map = painted((40, 20, 50, 33, 2), (70, 50, 71, 51, -1))

    whole, window = mask_prompt(anomaly_map, 1, 2.0), mask_prompt(anomaly_map[10:60, 30:90], 1, 2.0)

    np.testing.assert_array_equal(window, whole[10:60, 30:90])
