"""Place names beside the points of a plot, where they cover as little as possible."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.path import Path as Line
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from zsad.reporting import figures

MARKER_SIZE = 7  # points
_DISTANCES = (7, 11, 16, 22, 29, 38, 50, 64, 80)  # from a point to its name, in points
_ANGLES = tuple(math.radians(angle) for angle in (0, 180, 35, -35, 145, -145, 90, -90, 60, -60, 120, -120))
_LEADER_FROM = 16  # the distance from which a line leads from the name to its point
_KEPT_FREE = 20  # width and height around a point, in points, where the name of another point would be misleading
_HALO = 1.5  # white around a name, in points


class NamedPoint(NamedTuple):
    """A point in data coordinates, with the limits of a vertical bar through it, NaN where there is none."""

    name: str
    x: float
    y: float
    low: float
    high: float


class _Place(NamedTuple):
    """A possible place of a name: offset and distance from its point in points; box, and line to it, in pixels."""

    offset: tuple[float, float]
    distance: float
    horizontal: str
    vertical: str
    box: Bbox
    line: Line


def write_names(axes: Axes, points: Sequence[NamedPoint]) -> None:
    """Write the name of each point near it, away from the others; the layout of the figure must be final."""
    pixels = axes.figure.dpi / 72
    centres: Any = axes.transData.transform([(point.x, point.y) for point in points]) if points else []
    surroundings = [_box_around(centre, _KEPT_FREE * pixels) for centre in centres]
    bars = [_box_of_bar(axes, point) for point in points if not math.isnan(point.low + point.high)]
    written: list[Bbox] = []
    for index, (point, centre) in enumerate(zip(points, centres, strict=True)):
        name = _write_name(axes, point)
        places = _places(centre, *name.get_window_extent().size, pixels)
        solid = [*surroundings[:index], *surroundings[index + 1 :], *written]
        best = _best_place(places, partial(_badness, solid=solid, bars=bars, frame=axes.bbox))
        name.set(position=best.offset, horizontalalignment=best.horizontal, verticalalignment=best.vertical)
        written.append(best.box)
        if best.distance >= _LEADER_FROM:
            _draw_leader(axes, point, best)


def _write_name(axes: Axes, point: NamedPoint) -> Annotation:
    halo = patheffects.withStroke(linewidth=2 * _HALO, foreground="white")
    name = axes.annotate(
        point.name, (point.x, point.y), (0, 0), textcoords="offset points", fontsize=8, path_effects=[halo]
    )
    name.set_in_layout(False)
    return name


def _places(centre: Sequence[float], width: float, height: float, pixels: float) -> Iterator[_Place]:
    """Yield places around a point, from near to far; sizes in pixels, with ``pixels`` pixels in a point."""
    for distance, angle in itertools.product(_DISTANCES, _ANGLES):
        right, up = distance * math.cos(angle), distance * math.sin(angle)
        horizontal, left = _aligned(right, distance, ("left", "center", "right"))
        vertical, below = _aligned(up, distance, ("bottom", "center", "top"))
        x, y = centre[0] + right * pixels, centre[1] + up * pixels
        box = Bbox.from_bounds(x - left * width, y - below * height, width, height)
        yield _Place((right, up), distance, horizontal, vertical, box, Line([centre, (x, y)]))


def _best_place(places: Iterator[_Place], badness: Callable[[_Place], float]) -> _Place:
    """The best place; the search may end early, because the badness of a place is at least its distance."""
    best = next(places)
    least = badness(best)
    for place in places:
        if place.distance >= least:
            break
        found = badness(place)
        if found < least:
            best, least = place, found
    return best


def _aligned(part: float, distance: float, names: tuple[str, str, str]) -> tuple[str, float]:
    """The side of a name that its offset leads to, and the share of the name before it."""
    place = 1 if abs(part) < 0.3 * distance else 0 if part > 0 else 2
    return names[place], place / 2


def _badness(place: _Place, *, solid: Iterable[Bbox], bars: Iterable[Bbox], frame: Bbox) -> float:
    """The badness of a place: the area that it covers or loses outside the frame, bars less so, plus its distance."""
    box = place.box
    lost = box.width * box.height - _overlap(box, frame)
    covered = sum(_overlap(box, other) for other in solid)
    crossed = sum(place.line.intersects_bbox(other) for other in solid) if place.distance >= _LEADER_FROM else 0
    return 10 * (lost + covered) + 0.5 * sum(_overlap(box, bar) for bar in bars) + place.distance + 30 * crossed


def _overlap(one: Bbox, other: Bbox) -> float:
    common = Bbox.intersection(one, other)
    return 0.0 if common is None else common.width * common.height


def _box_around(centre: Sequence[float], side: float) -> Bbox:
    return Bbox.from_bounds(centre[0] - side / 2, centre[1] - side / 2, side, side)


def _box_of_bar(axes: Axes, point: NamedPoint) -> Bbox:
    (left, bottom), (_, top) = axes.transData.transform([(point.x, point.low), (point.x, point.high)])
    return Bbox.from_extents(left - 1, bottom, left + 1, top)


def _draw_leader(axes: Axes, point: NamedPoint, place: _Place) -> None:
    look = {"arrowstyle": "-", "color": figures.FAINT, "linewidth": 0.7, "linestyle": ":"}
    ends = {"shrinkA": 0, "shrinkB": MARKER_SIZE / 2}
    leader = axes.annotate("", (point.x, point.y), place.offset, textcoords="offset points", arrowprops=look | ends)
    leader.set_in_layout(False)
