"""At which resolution maps, masks and ground truth are compared."""

from dataclasses import replace

import numpy as np
import pytest

from zsad.data.saturation import Region
from zsad.errors import ConfigError
from zsad.evaluation.options import EvaluationOptions
from zsad.evaluation.protocols import PROTOCOLS, read_protocol
from zsad.maps import at_image_size
from zsad.smoothing import smooth

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


@pytest.mark.parametrize("name", ["crop224", "resize", "resize31", "resize4097", "resize0256", "native ", "resize256x"])
def test_an_unknown_protocol_is_refused(name):
    with pytest.raises(ConfigError, match=r"^evaluation: protocol = .*resizeN with a side N of 32 to 4096 pixels"):
        EvaluationOptions.build({"protocol": name}, where="evaluation")


@pytest.mark.parametrize("side", [32, 518, 4096])
def test_a_protocol_of_any_side_brings_maps_and_masks_to_it(side):
    measured_at = EvaluationOptions(protocol=f"resize{side}").measured_at
    assert measured_at.size(900, 700) == (side, side)
    assert measured_at.name == f"resize{side}"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "native"),
        ({"truth": "whole"}, "native"),  # nothing is resized
        ({"smoothing": 4}, "native + smoothing 4"),
        ({"protocol": "resize256", "truth": "any", "smoothing": 1.5}, "resize256 + smoothing 1.5 + truth any"),
        (
            {"protocol": "resize518", "truth": "whole", "grid": "corners", "aupro": "thresholds200"},
            "resize518 + truth whole + grid corners + aupro thresholds200",
        ),
        ({"aupro": "fpr300", "aupimo": "interpolated"}, "native + aupro fpr300 + aupimo interpolated"),
    ],
)
def test_the_name_of_a_protocol_says_all_that_departs_from_the_default(options, name):
    measured_at = EvaluationOptions(**options).measured_at
    assert measured_at.name == name
    if options != {"truth": "whole"}:
        assert read_protocol(name) == measured_at
    assert all(
        str(value).replace("resize", "") in measured_at.words + name for value in options.values() if name != "native"
    )


def test_maps_are_smoothed_at_the_size_at_which_they_are_measured_and_masks_are_not():
    grid = np.random.default_rng(1).random((5, 6)).astype(np.float32)
    smoothing = replace(RESIZED, smoothing=3.0)
    np.testing.assert_array_equal(smoothing.anomaly_map(grid, 90, 70), smooth(RESIZED.anomaly_map(grid, 90, 70), 3.0))
    mask = np.random.default_rng(0).random((90, 70)) < 0.3
    np.testing.assert_array_equal(smoothing.mask(mask), RESIZED.mask(mask))
    np.testing.assert_array_equal(smoothing.true_mask(mask), RESIZED.mask(mask))


def test_masks_that_are_measured_stay_nearest_whatever_the_reading_of_the_ground_truth():
    mask = np.zeros((90, 70), bool)
    mask[20:30, 20:31] = True
    whole = replace(RESIZED, side=32, truth="whole")
    np.testing.assert_array_equal(whole.mask(mask), replace(RESIZED, side=32).mask(mask))
    assert 0 < whole.true_mask(mask).sum() < whole.mask(mask).sum()
    (defect,) = whole.defects([Region("dent", mask, 50)])
    np.testing.assert_array_equal(defect.pixels, whole.true_mask(mask))
