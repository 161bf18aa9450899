"""Regions as polygons along the edges of their pixels: each polygon encloses exactly the area of its region.

The coordinates are those of the edges: the image's left upper corner is (0, 0), and its first pixel ends at (1, 1).
Programs that test the centres of pixels, (x + 1/2, y + 1/2), find the exact region; programs that take whole
coordinates as the centres of pixels, or also draw the line of a polygon, add up to a pixel at its border.

Polygons cannot have holes. So each hole is joined to the line around it by a cut of no width, which the line follows
there and back. Where pixels of a region touch only at corners, the line touches itself.
"""

from __future__ import annotations

import numpy as np

Point = tuple[int, int]

_STEPS: tuple[Point, ...] = (
    (1, 0),
    (0, 1),
    (-1, 0),
    (0, -1),
)  # right, down, left, up: a turn right is one step further


def polygon(pixels: np.ndarray, place: tuple[int, int] = (0, 0)) -> list[Point]:
    """The outline of one 8-connected region and its holes: ``(x, y)`` of each corner once, the region on the right.

    Args:
        pixels: bool ``[row, column]``, all of one region.
        place: ``(x, y)`` of its left upper corner in the image.
    """
    outer, *holes = _lines(pixels)
    line = _Line(outer)
    for hole in holes:  # from the top down, so that lines above a hole are joined already
        x, y = hole[0]
        above = np.flatnonzero(~pixels[:y, x])
        line.join((x, int(above[-1]) + 1 if above.size else 0), hole)
    return [(x + place[0], y + place[1]) for x, y in _corners(line.points())]


class _Line:
    """A closed line through points of the grid, which other lines can join."""

    def __init__(self, points: list[Point]) -> None:
        self._points = list(points)
        self._next = [*range(1, len(points)), 0]
        self._places = {point: place for place, point in enumerate(points)}

    def join(self, point: Point, hole: list[Point]) -> None:
        """Insert a hole: from a point of the line to the first point of the hole, around it, and back."""
        here, first = self._places[point], len(self._points)
        self._points += [*hole, hole[0], point]
        self._next += [*range(first + 1, len(self._points)), self._next[here]]
        self._next[here] = first
        self._places.update({around: first + place for place, around in enumerate(hole)})

    def points(self) -> list[Point]:
        """All points in their order."""
        points, place = [], 0
        for _ in self._points:
            points.append(self._points[place])
            place = self._next[place]
        return points


def _lines(pixels: np.ndarray) -> list[list[Point]]:
    """The closed lines between region and background, point by point: first the outer line, then those of holes.

    Each line starts at its first point in row order, and the holes are in the order of these points.
    """
    ways = _ways(pixels)
    left = {(point, direction) for point, directions in ways.items() for direction in directions}
    starts = ((point, way) for point in sorted(ways, key=lambda point: point[::-1]) for way in ways[point])
    return [_walk(*start, ways, left) for start in starts if start in left]


def _walk(point: Point, direction: int, ways: dict[Point, list[int]], left: set[tuple[Point, int]]) -> list[Point]:
    """The points of a line from its first one; the edges that are used are removed from ``left``."""
    line = []
    while (point, direction) in left:
        left.remove((point, direction))
        line.append(point)
        point = (point[0] + _STEPS[direction][0], point[1] + _STEPS[direction][1])
        # Where two pixels of the region touch at a corner, a left turn leads from one to the other.
        direction = ways[point][0] if len(ways[point]) == 1 else (direction - 1) % 4
    return line


def _ways(pixels: np.ndarray) -> dict[Point, list[int]]:
    """The directions of a region's edges from each point, as indices of `_STEPS`, with the region on the right."""
    bordered = np.pad(pixels.astype(np.int8), 1)
    down, across = np.diff(bordered, axis=0)[:, 1:-1], np.diff(bordered, axis=1)[1:-1]
    starts = (
        (down == 1, (0, 0)),  # along the top of a pixel, from its left end
        (across == -1, (0, 0)),
        (down == -1, (1, 0)),
        (across == 1, (0, 1)),
    )
    ways: dict[Point, list[int]] = {}
    for direction, (edges, (right, below)) in enumerate(starts):
        for y, x in np.argwhere(edges).tolist():
            ways.setdefault((x + right, y + below), []).append(direction)
    return ways


def _corners(points: list[Point]) -> list[Point]:
    """The points of a closed line where it changes its direction."""
    after = [*points[1:], points[0]]
    headings = [_heading(here, there) for here, there in zip(points, after, strict=True)]
    return [point for place, point in enumerate(points) if headings[place] != headings[place - 1]]


def _heading(here: Point, there: Point) -> Point:
    return (there[0] > here[0]) - (there[0] < here[0]), (there[1] > here[1]) - (there[1] < here[1])
