"""An image's patch grid: whole, in proportion, and centred as the maps are read."""

from __future__ import annotations

import numpy as np
import pytest

from zsad.errors import ConfigError
from zsad.features.geometry import nearest_multiples, patch_grid, resized_to_grid
from zsad.features.registry import BACKBONES
from zsad.maps import at_image_size


@pytest.mark.parametrize(
    ("size", "resolution", "patch", "expected"),
    [
        ((256, 256), 256, 8, (32, 32)),
        ((100, 200), 448, 14, (32, 64)),
        ((200, 100), 448, 14, (64, 32)),
        ((260, 596), 256, 8, (32, 73)),  # 32 * 596 / 260 = 73.4
        ((596, 260), 256, 8, (73, 32)),
        ((100, 101), 32, 16, (2, 2)),
        ((10, 1000), 32, 16, (2, 200)),
        ((4, 5), 32, 16, (2, 3)),  # 2.5 is rounded up
        ((1, 1), 448, 16, (28, 28)),
    ],
)
def test_the_short_side_is_the_resolution_and_the_long_side_in_proportion(
    size: tuple[int, int], resolution: int, patch: int, expected: tuple[int, int]
) -> None:
    assert patch_grid(*size, resolution, patch) == expected
    image = np.zeros((*size, 3), dtype=np.uint8)
    assert resized_to_grid(image, resolution, patch).shape == (expected[0] * patch, expected[1] * patch, 3)


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resized_to_grid(image, 32, 16), image)


def test_shrinking_averages_and_does_not_alias() -> None:
    stripes = np.zeros((512, 512, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    shrunk = resized_to_grid(stripes, 64, 8)[:, 2:-2]
    assert np.abs(shrunk.astype(int) - 100).max() <= 2


def test_the_orientation_of_colours_is_kept() -> None:
    image = np.broadcast_to(np.array([200, 100, 10], dtype=np.uint8), (30, 40, 3))
    np.testing.assert_array_equal(np.unique(resized_to_grid(image, 64, 8).reshape(-1, 3), axis=0), [[200, 100, 10]])


def test_what_lies_in_a_patch_is_found_again_at_its_place_in_the_image() -> None:
    image = np.zeros((130, 300, 3), dtype=np.uint8)
    image[60:70, 220:230] = 255
    resized = resized_to_grid(image, 64, 8)
    rows, columns = patch_grid(130, 300, 64, 8)
    brightness = resized[..., 0].reshape(rows, 8, columns, 8).mean(axis=(1, 3))
    found = at_image_size(brightness, 130, 300)
    y, x = np.mgrid[:130, :300]
    assert (found * y).sum() / found.sum() == pytest.approx(64.5, abs=2)
    assert (found * x).sum() / found.sum() == pytest.approx(224.5, abs=2)


@pytest.mark.parametrize(("resolution", "patch", "expected"), [(450, 16, (448, 464)), (5, 14, (14, 28))])
def test_the_nearest_multiples_are_on_either_side(resolution: int, patch: int, expected: tuple[int, int]) -> None:
    assert nearest_multiples(resolution, patch) == expected


def test_a_resolution_that_is_no_multiple_of_the_stride_names_valid_ones() -> None:
    with pytest.raises(ConfigError, match=r"resolution 250 is not a multiple of the stride 8; use 248 or 256"):
        BACKBONES.build("embedded", {"resolution": 250})
