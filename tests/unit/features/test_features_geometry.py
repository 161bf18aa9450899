"""An image's patch grid: whole, in proportion, and centred as the maps are read."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from zsad.errors import ConfigError
from zsad.features.geometry import Border, Preparation, nearest_multiples, patch_grid, resized, resized_to_grid
from zsad.features.registry import BACKBONES
from zsad.grids import GridRule
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


@pytest.mark.parametrize(
    ("size", "resolution", "patch", "expected"),
    [
        ((100, 200), 448, 14, (16, 32)),
        ((200, 100), 448, 14, (32, 16)),
        ((300, 300), 448, 16, (28, 28)),
        ((260, 596), 256, 8, (14, 32)),  # 32 * 260 / 596 = 13.96
        ((4, 5), 40, 8, (4, 5)),
        ((10, 1000), 64, 16, (1, 4)),  # no less than a patch
    ],
)
def test_with_a_border_the_long_side_is_the_resolution(
    size: tuple[int, int], resolution: int, patch: int, expected: tuple[int, int]
) -> None:
    assert patch_grid(*size, resolution, patch, "pad") == expected
    prepared = Preparation(resolution, patch, "pad")(np.zeros((*size, 3), dtype=np.uint8))
    assert prepared.shape == (expected[0] * patch, expected[1] * patch, 3)


@pytest.mark.parametrize("size", [(100, 200), (200, 100), (64, 64), (1, 700)])
def test_a_square_has_the_resolution_on_both_sides(size: tuple[int, int]) -> None:
    assert patch_grid(*size, 48, 8, "square") == (6, 6)
    assert Preparation(48, 8, "square")(np.zeros((*size, 3), dtype=np.uint8)).shape == (48, 48, 3)
    rule = GridRule.of_network(48, 8, 8, "square", tile=16, overlap=0)
    assert (rule.size(*size), rule.inputs(*size), rule.seen_at_once(*size)) == ((6, 6), 9, (2, 2))


def test_what_lies_in_a_patch_of_a_squashed_image_is_found_again_at_its_place() -> None:
    image = np.zeros((120, 300, 3), dtype=np.uint8)
    image[60:70, 220:230] = 255
    prepared = Preparation(96, 8, "square")(image)
    brightness = prepared[..., 0].reshape(12, 8, 12, 8).mean(axis=(1, 3))
    found = at_image_size(brightness, 120, 300)
    y, x = np.mgrid[:120, :300]
    assert (found * y).sum() / found.sum() == pytest.approx(64.5, abs=5)
    assert (found * x).sum() / found.sum() == pytest.approx(224.5, abs=5)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((64, 64), id="both sides shrink"),
        pytest.param((40, 100), id="both sides shrink, not alike"),
        pytest.param((230, 300), id="both sides grow"),
        # Not the reverse: where the height shrinks more than the width, Pillow's result depends on its version.
        pytest.param((300, 20), id="one grows, one shrinks"),
        pytest.param((128, 160), id="as it is"),
    ],
)
def test_the_fast_resize_is_pillows_but_for_rounding(size: tuple[int, int]) -> None:
    coarse = Image.fromarray(np.random.default_rng(5).integers(0, 256, (16, 20, 3), dtype=np.uint8))
    image = np.asarray(coarse.resize((160, 128), Image.Resampling.BICUBIC))
    fast = resized(image, *size)
    pillow = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))
    difference = np.abs(fast.astype(int) - pillow)
    assert fast.dtype == np.uint8
    assert fast.flags.c_contiguous
    assert difference.max() <= 2
    assert (difference > 0).mean() < 0.01


def test_a_preparation_goes_to_another_process_and_does_not_change_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    image.flags.writeable = False
    before = image.copy()
    preparation = Preparation(32, 16)
    prepared = pickle.loads(pickle.dumps(preparation))(image)
    np.testing.assert_array_equal(prepared, preparation(image))
    np.testing.assert_array_equal(image, before)
    assert prepared.shape[:2] == tuple(16 * side for side in preparation.grid_size(50, 70))


def as_tokens(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Pixels ``[image, 3, height, width]`` as tokens ``[image, 1, row, column, channel]`` of ``side x side`` pixels."""
    return pixels.unfold(2, side, side).unfold(3, side, side).permute(0, 2, 3, 1, 4, 5).flatten(3)[:, None]


@pytest.mark.parametrize(
    ("grid", "border"), [((2, 5), (1, 2, 0, 0)), ((5, 3), (0, 0, 1, 1)), ((4, 4), (0, 0, 0, 0)), ((1, 2), (0, 1, 0, 0))]
)
def test_a_border_makes_a_square_and_its_tokens_go_again(grid: tuple[int, int], border: tuple[int, ...]) -> None:
    made = Border.to_square(*grid)
    assert (made.top, made.bottom, made.left, made.right) == border
    pixels = torch.randn(2, 3, 4 * grid[0], 4 * grid[1])
    square = made.around(pixels, patch=4)
    assert square.shape[-2] == square.shape[-1] == 4 * max(grid)
    for finer in (1, 2):
        tokens = as_tokens(square, 4 // finer)
        torch.testing.assert_close(made.dropped(tokens, finer), as_tokens(pixels, 4 // finer))
