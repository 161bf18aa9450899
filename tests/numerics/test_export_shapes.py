"""Run lengths and polygons, read back by pycocotools and by a plain reader, are the regions to the pixel."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from zsad.exporting.polygons import Point, polygon
from zsad.exporting.regions import find_pieces
from zsad.exporting.run_lengths import compressed, run_lengths

RANDOM = np.random.default_rng(0)

RING = np.ones((7, 9), bool)
RING[2:5, 2:7] = False
TWO_HOLES = np.ones((9, 9), bool)
TWO_HOLES[1:3, 1:8] = TWO_HOLES[4:8, 3] = False
ISLAND = np.pad(RING, 2)  # with a region of its own in the hole
ISLAND[5, 6] = True
CORNERS = np.eye(6, dtype=bool) | np.eye(6, dtype=bool)[::-1]
STAIRS_AROUND_A_HOLE = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
SHAPES = {
    "pixel": np.ones((1, 1), bool),
    "row": np.ones((1, 9), bool),
    "column": np.ones((9, 1), bool),
    "everything": np.ones((5, 4), bool),
    "nothing": np.zeros((5, 4), bool),
    "ring": RING,
    "two holes, one below the other": TWO_HOLES,
    "island in a hole": ISLAND,
    "pixels that touch at corners": CORNERS,
    "hole within pixels that touch at corners": STAIRS_AROUND_A_HOLE,
    **{f"noise {share}": RANDOM.random((23, 31)) < share for share in (0.1, 0.4, 0.5, 0.6, 0.9)},
    **{f"spots {width}": cv2.GaussianBlur(RANDOM.random((60, 50)), (0, 0), width) > 0.5 for width in (1, 3)},
}


def pieces(mask: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
    """Each region as a mask of the image, and within its box with the place of that."""
    for piece in find_pieces(mask, np.zeros(mask.shape, np.float32)):
        x, y, width, height = piece.region.box
        whole = np.zeros(mask.shape, bool)
        whole[y : y + height, x : x + width] = piece.pixels
        yield whole, piece.pixels, (x, y)


def filled(line: list[Point], shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres a line of upright and level pieces, and of cuts, lies around an odd number of times."""
    inside = np.zeros(shape, bool)
    for (x, y), (to_x, to_y) in zip(line, [*line[1:], line[0]], strict=True):
        assert x == to_x or y == to_y
        inside[min(y, to_y) : max(y, to_y), x:] ^= True
    return inside


def area(line: list[Point]) -> float:
    return sum(x * to_y - to_x * y for (x, y), (to_x, to_y) in zip(line, [*line[1:], line[0]], strict=True)) / 2


@pytest.mark.parametrize("name", SHAPES)
def test_run_lengths_are_those_of_pycocotools_and_lose_nothing(name: str) -> None:
    for whole, pixels, place in pieces(SHAPES[name]):
        counts = compressed(run_lengths(pixels, place, whole.shape))
        assert counts == coco.encode(np.asfortranarray(whole, np.uint8))["counts"].decode()
        decoded = coco.decode({"size": list(whole.shape), "counts": counts.encode()})
        np.testing.assert_array_equal(decoded, whole)


def test_run_lengths_of_large_images_and_of_none() -> None:
    large = np.zeros((3000, 40), bool)
    large[7:2990, 3:30] = RANDOM.random((2983, 27)) < 0.01
    for mask in (large, ~large, np.zeros((300, 200), bool), np.ones((300, 200), bool)):
        counts = run_lengths(mask, (0, 0), mask.shape)
        assert sum(counts) == mask.size
        assert compressed(counts) == coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()


@pytest.mark.parametrize("name", SHAPES)
def test_polygons_hold_the_area_and_the_pixels_of_their_regions(name: str) -> None:
    for whole, pixels, place in pieces(SHAPES[name]):
        line = polygon(pixels, place)
        assert area(line) == whole.sum()
        np.testing.assert_array_equal(filled(line, whole.shape), whole)
        flat = [float(number) for point in line for number in point]
        np.testing.assert_array_equal(coco.decode(coco.frPyObjects([flat], *whole.shape))[..., 0], whole)


def test_a_polygon_has_no_more_corners_than_it_needs() -> None:
    assert polygon(np.ones((3, 5), bool), (10, 20)) == [(10, 20), (15, 20), (15, 23), (10, 23)]
    assert len(polygon(RING)) == 4 + 4 + 2  # around, around the hole, and where the cut leaves the line and comes back


def test_cuts_go_through_the_region_alone() -> None:
    """So that a program which draws the line of a polygon, too, marks nothing in a hole or outside."""
    for name in ("two holes, one below the other", "spots 3", "noise 0.6"):
        for whole, pixels, place in pieces(SHAPES[name]):
            line = polygon(pixels, place)
            for (x, y), (to_x, to_y) in zip(line, [*line[1:], line[0]], strict=True):
                rows = slice(min(y, to_y), max(y, to_y))
                if x == to_x:
                    left = whole[rows, x - 1] if x else np.zeros(rows.stop - rows.start, bool)
                    right = whole[rows, x] if x < whole.shape[1] else np.zeros_like(left)
                    assert (left | right).all()
