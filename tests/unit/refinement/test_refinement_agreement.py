"""How well an outline agrees with a map, against plain formulas."""

import numpy as np
import pytest

from zsad.refinement.agreement import agreement, soft_iou, soft_map
from zsad.refinement.regions import regions_above

THRESHOLD = 0.75


def random_window(seed: int, shape=(9, 13)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Map, highest component and a random mask."""
    rng = np.random.default_rng(seed)
    anomaly_map = rng.normal(0.5, 0.3, shape).astype(np.float32)
    component = regions_above(anomaly_map, THRESHOLD)[0].within((0, 0, shape[1], shape[0]))
    return anomaly_map, component, rng.random(shape) > 0.6


def plain_degrees(anomaly_map, component):
    values = [[float(value) for value in row] for row in anomaly_map]
    places = [(row, column) for row in range(len(values)) for column in range(len(values[0]))]
    around = [values[row][column] for row, column in places if values[row][column] <= THRESHOLD]
    level = sum(around) / len(around)
    peak = max(values[row][column] for row, column in places if component[row, column])
    degrees = {}
    for row, column in places:
        belongs = component[row, column] or values[row][column] <= THRESHOLD
        degree = (values[row][column] - level) / (peak - level)
        degrees[row, column] = min(max(degree, 0.0), 1.0) if belongs else 0.0
    return degrees


def mean(values):
    values = list(values)
    return sum(values) / len(values)


@pytest.mark.parametrize("seed", range(8))
def test_degrees_and_agreement_are_those_of_the_plain_formulas(seed):
    anomaly_map, component, mask = random_window(seed)
    plain = plain_degrees(anomaly_map, component)

    degrees = soft_map(anomaly_map, THRESHOLD, component)

    assert degrees.ravel().tolist() == pytest.approx(list(plain.values()))
    lesser = sum(min(degree, float(mask[place])) for place, degree in plain.items())
    greater = sum(max(degree, float(mask[place])) for place, degree in plain.items())
    contrast = mean(d for p, d in plain.items() if mask[p]) - mean(d for p, d in plain.items() if not mask[p])
    assert soft_iou(degrees, mask) == pytest.approx(lesser / greater)
    assert agreement(degrees, mask) == pytest.approx((lesser / greater + contrast) / 2)


@pytest.mark.parametrize("seed", range(8))
def test_degrees_run_from_0_to_1_at_the_peak_and_are_0_on_other_components(seed):
    anomaly_map, component, _ = random_window(seed)

    degrees = soft_map(anomaly_map, THRESHOLD, component)

    assert degrees.min() == 0
    assert degrees.max() == degrees[component].max() == 1
    assert not degrees[(anomaly_map > THRESHOLD) & ~component].any()


@pytest.mark.parametrize(("unit", "offset"), [(1000, 0), (1e-6, 0), (4, -3)])
def test_unit_and_offset_of_the_map_do_not_matter(unit, offset):
    anomaly_map, component, mask = random_window(0)
    plain = agreement(soft_map(anomaly_map, THRESHOLD, component), mask)

    changed = soft_map(unit * anomaly_map + offset, unit * THRESHOLD + offset, component)

    assert agreement(changed, mask) == pytest.approx(plain, abs=1e-4)


def test_a_map_in_steps_agrees_wholly_with_its_component_and_less_with_any_other_mask():
    component = np.zeros((12, 16), bool)
    component[3:8, 4:11] = True
    degrees = soft_map(component.astype(np.float32), 0.5, component)

    assert agreement(degrees, component) == 1
    for shift in (1, 2, 5):
        assert agreement(degrees, np.roll(component, shift, axis=1)) < 1
    assert agreement(degrees, ~component) == -0.5
    assert agreement(degrees, np.zeros_like(component)) == 0


def test_the_soft_iou_of_two_masks_is_their_iou():
    rng = np.random.default_rng(3)
    one, other = rng.random((9, 9)) > 0.5, rng.random((9, 9)) > 0.5

    assert soft_iou(one.astype(float), other) == pytest.approx((one & other).sum() / (one | other).sum())
    assert soft_iou(np.zeros((4, 4)), np.zeros((4, 4), bool)) == 0


@pytest.mark.parametrize("seed", range(30))
def test_no_agreement_is_above_1_nor_below_minus_a_half(seed):
    rng = np.random.default_rng(seed)
    anomaly_map, component, _ = random_window(seed, (int(rng.integers(2, 9)), int(rng.integers(3, 9))))
    degrees = soft_map(anomaly_map, THRESHOLD, component)

    for share in (0.05, 0.5, 0.95):
        mask = rng.random(degrees.shape) < share
        assert 0 <= soft_iou(degrees, mask) <= 1
        assert -0.5 <= agreement(degrees, mask) <= 1


def test_a_mask_that_is_the_whole_window_is_judged_by_what_is_inside_alone():
    anomaly_map, component, _ = random_window(1)
    degrees = soft_map(anomaly_map, THRESHOLD, component)

    assert agreement(degrees, np.ones_like(component)) == pytest.approx(degrees.mean())


@pytest.mark.parametrize("value", [0.9, 5.0])
def test_a_window_that_is_all_component_has_degrees_too(value):
    anomaly_map = np.full((4, 5), value, np.float32)
    flat = soft_map(anomaly_map, THRESHOLD, np.ones((4, 5), bool))
    anomaly_map[2, 2] = 2 * value

    assert np.isfinite(flat).all()
    assert soft_map(anomaly_map, THRESHOLD, np.ones((4, 5), bool))[2, 2] == 1
