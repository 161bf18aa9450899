"""Regions of masks against a plain reference that floods pixel by pixel and compares all corners."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest

from zsad.exporting.regions import Region, find_pieces, find_regions

RANDOM = np.random.default_rng(0)


def flooded(mask: np.ndarray) -> list[list[tuple[int, int]]]:
    """The pixels ``(y, x)`` of each 8-connected region, in the order in which a reader meets the regions."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    regions = []
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        region, waiting = [], [start]
        while waiting:
            y, x = waiting.pop()
            region.append((y, x))
            for near in product((y - 1, y, y + 1), (x - 1, x, x + 1)):
                if near in left:
                    left.remove(near)
                    waiting.append(near)
        regions.append(region)
    return regions


def measured(pixels: list[tuple[int, int]], anomaly_map: np.ndarray) -> Region:
    ys, xs = [y for y, _ in pixels], [x for _, x in pixels]
    values = [float(anomaly_map[pixel]) for pixel in pixels]
    corners = {(y + down, x + right) for y, x in pixels for down, right in product((0, 1), repeat=2)}
    return Region(
        box=(min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1),
        area=len(pixels),
        centroid=(sum(xs) / len(xs), sum(ys) / len(ys)),
        length=max(math.dist(one, other) for one, other in combinations(corners, 2)),
        peak=max(values),
        mean=sum(values) / len(values),
    )


def close(region: Region) -> list[float]:
    return pytest.approx([*region.box, region.area, *region.centroid, region.length, region.peak, region.mean])


def numbers(region: Region) -> list[float]:
    return [*region.box, region.area, *region.centroid, region.length, region.peak, region.mean]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.45, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (23, 1), (14, 19)])
def test_regions_are_those_of_the_plain_reference(share: float, shape: tuple[int, int]) -> None:
    mask = RANDOM.random(shape) < share
    anomaly_map = RANDOM.normal(size=shape).astype(np.float32)
    expected = sorted((measured(pixels, anomaly_map) for pixels in flooded(mask)), key=lambda region: -region.peak)
    found = find_regions(mask, anomaly_map)
    assert len(found) == len(expected)
    for region, reference in zip(found, expected, strict=True):
        assert numbers(region) == close(reference)


def test_equal_peaks_stand_in_reading_order() -> None:
    mask = RANDOM.random((20, 20)) < 0.2
    found = find_regions(mask, np.zeros(mask.shape, np.float32))
    assert [numbers(region) for region in found] == [
        close(measured(pixels, np.zeros(mask.shape))) for pixels in flooded(mask)
    ]


def test_pieces_put_together_are_the_mask() -> None:
    mask = RANDOM.random((30, 40)) < 0.4
    drawn = np.zeros(mask.shape, int)
    for piece in find_pieces(mask, np.zeros(mask.shape, np.float32)):
        x, y, width, height = piece.region.box
        drawn[y : y + height, x : x + width] += piece.pixels
        assert piece.pixels.sum() == piece.region.area
    np.testing.assert_array_equal(drawn, mask)


def test_negative_scores_keep_their_sign() -> None:
    (region,) = find_regions(np.ones((2, 2), bool), np.array([[-3.0, -1.0], [-2.0, -2.0]], np.float32))
    assert (region.peak, region.mean) == (-1.0, -2.0)


def test_a_long_scratch_is_as_long_as_it_is_however_it_lies() -> None:
    along, across = np.zeros((50, 50), bool), np.eye(50, dtype=bool)
    along[7, 3:43] = True
    lengths = [find_regions(mask, np.zeros(mask.shape, np.float32))[0].length for mask in (along, across)]
    assert lengths == pytest.approx([math.hypot(40, 1), math.hypot(50, 50)])


def test_figures_are_plain_numbers_that_json_takes() -> None:
    (region,) = find_regions(np.ones((3, 3), bool), np.ones((3, 3), np.float32))
    assert {type(value) for value in numbers(region)} == {int, float}


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a map of the same"):
        find_regions(np.ones((3, 3), bool), np.ones((3, 4), np.float32))
