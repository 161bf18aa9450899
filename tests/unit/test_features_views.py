"""A view changes images as it says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from zsad.data.subsets import VIEWS
from zsad.errors import ConfigError
from zsad.features.views import rotated, variants

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
ANGLES = [int(view.removeprefix("rot")) for view in VIEWS if view.removeprefix("rot").isdigit()]


def test_every_view_has_variants_of_the_images_own_size() -> None:
    wide = np.random.default_rng(1).integers(0, 256, (8, 13, 3), dtype=np.uint8)
    for view in VIEWS:
        for variant in variants(view):
            assert variant.of(wide).shape == wide.shape
            assert variant.of(wide).flags.c_contiguous


def test_the_mirrored_view_is_the_mirror_image() -> None:
    (variant,) = variants("hflip")
    np.testing.assert_array_equal(variant.of(IMAGE), IMAGE[:, ::-1])
    assert variant.suffix == ""


def test_the_other_flips_are_what_they_are_called() -> None:
    (upside_down,), (turned,) = variants("vflip"), variants("rot180")
    np.testing.assert_array_equal(upside_down.of(IMAGE), IMAGE[::-1])
    np.testing.assert_array_equal(turned.of(IMAGE), np.rot90(IMAGE, 2))


def test_rotations_are_eight_named_angles_and_quarter_turns_are_exact() -> None:
    by_suffix = {variant.suffix: variant.of(IMAGE) for variant in variants("rotations")}
    assert list(by_suffix) == ["@000", "@045", "@090", "@135", "@180", "@225", "@270", "@315"]
    for quarter in range(4):
        np.testing.assert_array_equal(by_suffix[f"@{90 * quarter:03d}"], np.rot90(IMAGE, quarter))


def test_there_are_single_turns_both_ways_for_three_to_six_fold_parts() -> None:
    assert ANGLES == [60, 72, 90, 120, 180, 240, 270, 288, 300]
    assert {360 - angle for angle in ANGLES} == set(ANGLES)


@pytest.mark.parametrize("angle", ANGLES)
def test_a_single_turn_shows_what_lies_that_many_degrees_clockwise(angle: int) -> None:
    (variant,) = variants(f"rot{angle:03d}")
    assert variant.suffix == ""
    east = np.zeros((65, 65, 3), dtype=np.uint8)
    east[30:35, 52:57] = 255  # 22 pixels right of the middle
    rows, columns = np.nonzero(variant.of(east)[..., 0] > 127)
    direction = np.exp(1j * np.radians(angle))
    assert columns.mean() - 32 == pytest.approx(22 * direction.real, abs=0.2)
    assert 32 - rows.mean() == pytest.approx(22 * direction.imag, abs=0.2)


@pytest.mark.parametrize("size", [(8, 8), (9, 9), (1, 1)])
@pytest.mark.parametrize("quarters", range(-1, 5))
def test_quarter_turns_of_squares_move_pixels_and_interpolate_nothing(size: tuple[int, int], quarters: int) -> None:
    image = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    np.testing.assert_array_equal(rotated(image, 90 * quarters), np.rot90(image, quarters))


def test_a_half_turn_is_exact_and_a_quarter_turn_keeps_the_frame_whatever_its_shape() -> None:
    wide = np.random.default_rng(3).integers(0, 256, (6, 11, 3), dtype=np.uint8)
    np.testing.assert_array_equal(rotated(wide, 180), wide[::-1, ::-1])
    upright = np.zeros((21, 41, 3), dtype=np.uint8)
    upright[:, 18:23] = 200
    turned = rotated(upright, 90)
    assert turned.shape == upright.shape
    np.testing.assert_array_equal(turned[8:13], 200)
    assert not turned[:7, 11:30].any()


def test_what_is_turned_into_the_frame_is_the_reflected_image() -> None:
    constant = np.full((16, 16, 3), 77, dtype=np.uint8)
    np.testing.assert_array_equal(rotated(constant, 45), constant)


def test_an_unknown_view_is_named() -> None:
    with pytest.raises(ConfigError, match="there is no view 'hflp'; did you mean 'hflip'"):
        variants("hflp")
