"""A view changes images as it says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from zsad.data.subsets import VIEWS
from zsad.errors import ConfigError
from zsad.features.views import rotated, variants

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)


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


def test_what_is_turned_into_the_frame_is_the_reflected_image() -> None:
    constant = np.full((16, 16, 3), 77, dtype=np.uint8)
    np.testing.assert_array_equal(rotated(constant, 45), constant)


def test_an_unknown_view_is_named() -> None:
    with pytest.raises(ConfigError, match="there is no view 'hflp'; did you mean 'hflip'"):
        variants("hflp")
