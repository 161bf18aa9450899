"""A view changes images as it says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from zsad.data.subsets import TURNS, VIEWS, angle_suffix, base_id, is_upright
from zsad.errors import ConfigError
from zsad.features.views import drawn_angles, rotated, rotated_as_anomalydino, rotated_as_subspacead, variants

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


@pytest.mark.parametrize("view", TURNS)
def test_views_of_turned_images_show_them_upright_first_and_say_the_angle(view: str) -> None:
    wide = np.random.default_rng(4).integers(0, 256, (8, 13, 3), dtype=np.uint8)
    first, *others = variants(view)
    np.testing.assert_array_equal(first.of(wide), wide)
    suffixes = [variant.suffix for variant in others]
    assert len(set(suffixes)) == len(suffixes) == (30 if view == "rotations_subspacead" else 7)
    assert is_upright(f"train/good/a.png{first.suffix}")
    assert not any(is_upright(f"train/good/a.png{suffix}") for suffix in suffixes)
    assert {base_id(f"train/good/a.png{suffix}") for suffix in suffixes} == {"train/good/a.png"}
    assert not any((variant.of(wide) == wide).all() for variant in others)


@pytest.mark.parametrize(
    ("angle", "suffix"), [(0, "@000"), (45.0, "@045"), (7.5, "@007.500"), (344.999, "@344.999"), (0.004, "@000.004")]
)
def test_an_angle_is_read_from_the_name_as_it_was_written(angle: float, suffix: str) -> None:
    assert angle_suffix(angle) == suffix
    assert base_id(f"a@b.png{suffix}") == "a@b.png"
    assert is_upright(f"a.png{suffix}") == (angle == 0)


@pytest.mark.parametrize("name", ["a@1.png", "a.png@45", "a.png@0450", "a.png@045.5", "a@045.png", "@045a"])
def test_what_only_looks_like_an_angle_belongs_to_the_name(name: str) -> None:
    assert base_id(name) == name
    assert is_upright(name)


def test_the_drawn_angles_are_spread_over_the_range_of_the_paper_and_always_the_same() -> None:
    angles = drawn_angles()
    assert angles == sorted(angles) == drawn_angles()
    assert 0 < angles[0] < 45
    assert 300 < angles[-1] < 345


@pytest.mark.parametrize("angle", [45, 90, 200])
def test_turns_as_anomalydino_are_about_half_a_pixel_below_and_right_of_the_middle(angle: float) -> None:
    """Against an affine map written out, reflected without the outermost pixels, in the inside and at the border."""
    image = np.random.default_rng(5).integers(0, 256, (24, 30, 3)).astype(np.uint8)
    image = ndimage.uniform_filter(image, (5, 5, 1))
    height, width = image.shape[:2]
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    rows, columns = np.mgrid[:height, :width]
    down, along = rows - height / 2, columns - width / 2
    source = [sine * along + cosine * down + height / 2, cosine * along - sine * down + width / 2]
    expected = np.stack(
        [ndimage.map_coordinates(image[..., c].astype(float), source, order=1, mode="mirror") for c in range(3)], axis=2
    )
    found = rotated_as_anomalydino(image, angle)
    assert np.abs(found - expected).max() <= 3  # the library interpolates in 32nds of a pixel
    assert np.abs(found.astype(float) - rotated(image, angle)).mean() > 1


@pytest.mark.parametrize("angle", [12.345, 90, 317])
def test_turns_as_subspacead_are_black_where_the_image_does_not_reach(angle: float) -> None:
    white = np.full((20, 32, 3), 255, dtype=np.uint8)
    found = rotated_as_subspacead(white, angle)
    assert set(np.unique(found)) == {0, 255}
    rows, columns = np.mgrid[:20, :32]
    down, along = rows - 9.5, columns - 15.5  # of the middles of pixels
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    outside = (abs(cosine * along - sine * down) > 16.01) | (abs(sine * along + cosine * down) > 10.01)
    inside = (abs(cosine * along - sine * down) < 15.99) & (abs(sine * along + cosine * down) < 9.99)
    assert not found[outside].any()
    assert found[inside].all()


def test_an_unknown_view_is_named() -> None:
    with pytest.raises(ConfigError, match="there is no view 'hflp'; did you mean 'hflip'"):
        variants("hflp")
