"""The windows around small components: in the image, around the component, as large as was asked for."""

import numpy as np
import pytest

from zsad.errors import ConfigError
from zsad.refinement.crops import CropOptions, crop_windows
from zsad.refinement.regions import Region


def region(left: int, top: int, right: int, bottom: int) -> Region:
    mask = np.ones((bottom - top, right - left), bool)
    return Region((left, top, right, bottom), mask, True, mask.size, 1.0, (left, top))


def random_regions(seed: int, height: int, width: int, count: int = 60) -> list[Region]:
    rng = np.random.default_rng(seed)
    regions = []
    for _ in range(count):
        left, top = int(rng.integers(0, width)), int(rng.integers(0, height))
        right = int(min(width, left + rng.integers(1, max(2, width // 4))))
        bottom = int(min(height, top + rng.integers(1, max(2, height // 4))))
        regions.append(region(left, top, right, bottom))
    return regions


SIZES = [(101, 77), (64, 200), (33, 33), (7, 90), (1, 1), (240, 320)]
OPTIONS = [CropOptions(), CropOptions(below=0.2, context=1.5, least=0.01), CropOptions(below=1, context=1, least=1)]


@pytest.mark.parametrize("options", OPTIONS, ids=["default", "tight", "all"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_window_is_a_square_within_the_image_that_holds_its_component(options, height, width):
    for one in random_regions(height * width, height, width):
        window = options.window_of(one, height, width)
        longest = max(one.mask.shape)
        if longest > options.below * min(height, width):
            assert window is None
            continue
        side = max(options.context * longest, options.least * min(height, width))
        if window is None:
            assert height == width
            assert side >= height - 0.5
            continue
        left, top, right, bottom = window
        assert right - left == bottom - top == pytest.approx(min(side, height, width), abs=0.5)
        assert 0 <= left <= one.box[0] < one.box[2] <= right <= width
        assert 0 <= top <= one.box[1] < one.box[3] <= bottom <= height
        assert all(type(edge) is int for edge in window)


def test_a_window_has_its_component_in_the_middle_unless_the_border_of_the_image_is_near():
    options = CropOptions(below=0.1, context=4, least=0.1)

    assert options.window_of(region(100, 60, 110, 66), 200, 300) == (85, 43, 125, 83)
    assert options.window_of(region(2, 60, 12, 66), 200, 300) == (0, 43, 40, 83)
    assert options.window_of(region(290, 194, 300, 200), 200, 300) == (260, 160, 300, 200)


def test_a_tiny_component_gets_a_window_of_the_least_side():
    assert CropOptions(least=0.25).window_of(region(100, 60, 102, 62), 200, 300) == (76, 36, 126, 86)


def test_a_component_just_as_long_as_the_limit_gets_a_window_and_a_longer_one_none():
    options = CropOptions(below=0.125)

    assert options.window_of(region(10, 10, 18, 12), 64, 64) is not None
    assert options.window_of(region(10, 10, 19, 12), 64, 64) is None
    assert options.window_of(region(10, 10, 12, 19), 64, 64) is None


def test_a_window_that_would_be_the_whole_image_is_none():
    options = CropOptions(below=1, context=4, least=1)

    assert options.window_of(region(10, 10, 12, 12), 40, 40) is None
    assert options.window_of(region(10, 10, 12, 12), 40, 60) == (0, 0, 40, 40)


def test_components_that_share_a_window_have_it_once_and_the_order_is_theirs():
    options = CropOptions(below=0.1, context=1, least=0.5)
    near, twin, far, large = region(2, 2, 5, 5), region(4, 3, 7, 6), region(90, 90, 95, 95), region(0, 0, 50, 50)

    windows = crop_windows(options, [far, near, large, twin], 100, 100)

    assert windows == [(50, 50, 100, 100), (0, 0, 50, 50)]
    assert crop_windows(options, [], 100, 100) == []


@pytest.mark.parametrize("wrong", [{"below": 0}, {"context": 0.5}, {"least": 0}, {"size": 3}])
def test_a_wrong_option_is_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CropOptions.build(wrong, where="crops")
