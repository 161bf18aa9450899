"""At which resolution maps, masks and truth are compared."""

import numpy as np
import pytest

from zsad.data.saturation import Region
from zsad.errors import ConfigError
from zsad.evaluation.options import EvaluationOptions
from zsad.evaluation.protocols import PROTOCOLS
from zsad.maps import at_image_size

NATIVE, RESIZED = PROTOCOLS["native"], PROTOCOLS["resize256"]


def test_native_leaves_masks_alone_and_brings_maps_to_the_size_of_the_image():
    mask = np.random.default_rng(0).random((40, 70)) < 0.2
    grid = np.random.default_rng(1).random((5, 6)).astype(np.float32)
    assert NATIVE.mask(mask) is mask
    np.testing.assert_array_equal(NATIVE.anomaly_map(grid, 40, 70), at_image_size(grid, 40, 70))


@pytest.mark.parametrize("shape", [(900, 700), (100, 128), (256, 256), (1, 3)])
def test_resize256_takes_the_nearest_pixel_of_a_mask(shape):
    mask = np.random.default_rng(0).random(shape) < 0.3
    rows, columns = (((np.arange(256) + 0.5) * size / 256).astype(int) for size in shape)
    np.testing.assert_array_equal(RESIZED.mask(mask), mask[np.ix_(rows, columns)])


def test_resize256_maps_are_bilinear_from_the_grid():
    grid = np.random.default_rng(1).random((5, 6)).astype(np.float32)
    np.testing.assert_array_equal(RESIZED.anomaly_map(grid, 900, 700), at_image_size(grid, 256, 256))


def test_saturation_areas_shrink_with_the_image_and_lost_defects_are_left_out():
    large, lost = np.zeros((512, 512), bool), np.zeros((512, 512), bool)
    large[100:200, 100:200] = True
    lost[0, 0] = True
    (defect,) = RESIZED.defects([Region("dent", large, 4000), Region("speck", lost, 1)])
    assert defect.defect_name == "dent"
    assert defect.saturation_area == 1000
    assert NATIVE.defects([Region("dent", large, 4000)])[0].saturation_area == 4000


def test_a_saturation_area_is_never_less_than_a_pixel_nor_more_than_the_defect():
    square = np.zeros((512, 512), bool)
    square[100:104, 100:104] = True  # four pixels are left of it
    for area, scaled in ((1, 1), (9, 2), (16, 4), (100, 4)):
        (defect,) = RESIZED.defects([Region("dent", square, area)])
        assert defect.saturation_area == scaled


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ConfigError, match=r"evaluation: protocol"):
        EvaluationOptions.build({"protocol": "crop224"}, where="evaluation")
