"""The components of the board, drawn from boxes and discs with bevelled edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zsad.data.demo import board_layout as layout
from zsad.data.demo.shapes import box_distance, frame_grid
from zsad.data.demo.surface import Colour, Surface

_BLACK: Colour = (0.085, 0.085, 0.09)
_SILVER: Colour = (0.80, 0.80, 0.80)


class Canvas:
    """A copy of a surface on which shapes are painted, one over the other.

    Attributes:
        surface: the result so far.
    """

    def __init__(self, surface: Surface) -> None:
        self.surface = Surface(surface.albedo.copy(), surface.height.copy(), surface.gloss.copy())

    def box(
        self,
        centre: layout.Point,
        half: layout.Point,
        turn: float = 0.0,
        *,
        colour: Colour,
        lift: float = 0.0,
        gloss: float = 0.1,
        corner: float = 0.002,
        bevel: float = 0.004,
    ) -> None:
        """Paint a box with rounded corners.

        Args:
            half: half the width and height.
            turn: radians, clockwise as seen.
            lift: height of the top above the ground.
            bevel: width of the sloping edge.
        """
        reach = float(np.hypot(*half)) + 0.004
        window, x, y = self._window(centre, reach)
        cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        distance = box_distance(cosine * x + sine * y, cosine * y - sine * x, half, corner)
        self._paint(window, distance, colour, lift, gloss, bevel)

    def disc(
        self,
        centre: layout.Point,
        radius: float,
        *,
        colour: Colour,
        lift: float = 0.0,
        gloss: float = 0.1,
        bevel: float = 0.004,
    ) -> None:
        """Paint a disc; the arguments are those of `box`."""
        window, x, y = self._window(centre, radius + 0.004)
        self._paint(window, np.hypot(x, y) - radius, colour, lift, gloss, bevel)

    def _window(self, centre: layout.Point, reach: float) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
        side = self.surface.side
        low = [max(0, int((value - reach + 0.5) * side)) for value in centre]
        high = [min(side, int((value + reach + 0.5) * side) + 2) for value in centre]
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        x, y = frame_grid(side)
        return window, x[window] - np.float32(centre[0]), y[window] - np.float32(centre[1])

    def _paint(
        self,
        window: tuple[slice, slice],
        distance: np.ndarray,
        colour: Colour,
        lift: float,
        gloss: float,
        bevel: float,
    ) -> None:
        cover = np.clip(0.5 - distance * self.surface.side, 0, 1)
        albedo, height, gloss_layer = (
            layer[window] for layer in (self.surface.albedo, self.surface.height, self.surface.gloss)
        )
        albedo += cover[..., None] * (np.array(colour, np.float32) - albedo)
        gloss_layer += cover * (np.float32(gloss) - gloss_layer)
        height += np.float32(lift) * np.clip(-distance / bevel, 0, 1)


class _Frame:
    """A component's own coordinates on a canvas."""

    def __init__(self, canvas: Canvas, centre: layout.Point, turn: float, shade: float) -> None:
        self._canvas, self._centre, self._turn, self._shade = canvas, centre, turn, shade

    def box(self, x: float, y: float, half: layout.Point, *, colour: Colour, **options: float) -> None:
        self._canvas.box(self._at(x, y), half, self._turn, colour=self._shaded(colour), **options)

    def disc(self, x: float, y: float, radius: float, *, colour: Colour, **options: float) -> None:
        self._canvas.disc(self._at(x, y), radius, colour=self._shaded(colour), **options)

    def _at(self, x: float, y: float) -> layout.Point:
        cosine, sine = np.cos(self._turn), np.sin(self._turn)
        return self._centre[0] + cosine * x - sine * y, self._centre[1] + sine * x + cosine * y

    def _shaded(self, colour: Colour) -> Colour:
        red, green, blue = (min(1.0, self._shade * channel) for channel in colour)
        return red, green, blue


def draw_component(canvas: Canvas, kind: str, centre: layout.Point, turn: float, shade: float) -> None:
    """Draw one component; ``shade`` multiplies its colours."""
    _COMPONENTS[kind](_Frame(canvas, centre, turn, shade))


def draw_pads(canvas: Canvas, kind: str, centre: layout.Point, turn: float) -> None:
    """Draw the tinned pads that a component is soldered to."""
    frame = _Frame(canvas, centre, turn, 1.0)
    for x, y, half_x, half_y in _pads(kind):
        frame.box(x, y, (half_x, half_y), colour=layout.TIN, lift=0.0006, gloss=0.55)


def _pads(kind: str) -> list[tuple[float, float, float, float]]:
    """Centre and half size of each pad of a component."""
    half_x, half_y = layout.HALF_SIZES[kind]
    if kind in _PINS:
        return [(x, y, 0.0048, 0.009) for x, y in _pins(kind)]
    if kind == "header":
        return [(0, y, 0.009, 0.009) for y in np.linspace(-0.06, 0.06, 5)]
    return [(sign * (half_x - 0.004), 0, 0.009, min(half_y, 0.014)) for sign in (-1, 1)]


_PINS = {"chip": (8, 0.0185), "small_chip": (4, 0.0165)}


def _pins(kind: str) -> list[layout.Point]:
    count, pitch = _PINS[kind]
    half_y = layout.HALF_SIZES[kind][1]
    places = (np.arange(count) - (count - 1) / 2) * pitch
    return [(float(x), sign * (half_y - 0.008)) for sign in (-1, 1) for x in places]


def _chip(frame: _Frame, kind: str) -> None:
    half_x, half_y = layout.HALF_SIZES[kind]
    for x, y in _pins(kind):
        frame.box(x, y, (0.0034, 0.009), colour=_SILVER, lift=0.004, gloss=0.7, bevel=0.003)
    frame.box(0, 0, (half_x, half_y - 0.014), colour=_BLACK, lift=0.016, gloss=0.08, bevel=0.006)
    frame.disc(-half_x + 0.014, half_y - 0.027, 0.005, colour=(0.05, 0.05, 0.05), lift=-0.001)
    for row, width in ((-0.4, 0.55), (-0.05, 0.4)):
        frame.box(0.08 * half_x, row * (half_y - 0.014), (width * half_x, 0.0022), colour=(0.30, 0.30, 0.30))


def _can(frame: _Frame) -> None:
    frame.box(0, 0, (0.038, 0.038), colour=_BLACK, lift=0.006, corner=0.008)
    frame.disc(0, 0, 0.035, colour=_SILVER, lift=0.032, gloss=0.55, bevel=0.005)
    frame.box(-0.023, 0, (0.008, 0.018), colour=(0.12, 0.12, 0.14), corner=0.006)


def _coil(frame: _Frame) -> None:
    frame.box(0, 0, (0.035, 0.035), colour=(0.20, 0.19, 0.18), lift=0.020, corner=0.010, bevel=0.006)
    frame.disc(0, 0, 0.022, colour=(0.27, 0.25, 0.23), lift=-0.002, bevel=0.008)


def _crystal(frame: _Frame) -> None:
    frame.box(0, 0, (0.043, 0.018), colour=_SILVER, lift=0.012, gloss=0.6, corner=0.017, bevel=0.004)
    frame.box(0, 0, (0.037, 0.012), colour=_SILVER, lift=0.002, gloss=0.6, corner=0.012, bevel=0.002)


def _header(frame: _Frame) -> None:
    frame.box(0, 0, (0.016, 0.078), colour=(0.78, 0.76, 0.70), lift=0.024, bevel=0.004)
    for y in np.linspace(-0.06, 0.06, 5):
        frame.box(0, float(y), (0.009, 0.009), colour=(0.10, 0.10, 0.10), lift=-0.008)
        frame.box(0, float(y), (0.0035, 0.0035), colour=(0.80, 0.68, 0.36), lift=0.006, gloss=0.6)


def _two_ended(frame: _Frame, kind: str, colour: Colour) -> None:
    half_x, half_y = layout.HALF_SIZES[kind]
    frame.box(0, 0, (half_x - 0.001, half_y - 0.001), colour=_SILVER, lift=0.008, gloss=0.5, bevel=0.004)
    frame.box(0, 0, (half_x - 0.008, half_y - 0.0005), colour=colour, lift=0.001, bevel=0.002)


_COMPONENTS: dict[str, Callable[[_Frame], None]] = {
    "chip": lambda frame: _chip(frame, "chip"),
    "small_chip": lambda frame: _chip(frame, "small_chip"),
    "can": _can,
    "crystal": _crystal,
    "coil": _coil,
    "header": _header,
    "resistor": lambda frame: _two_ended(frame, "resistor", _BLACK),
    "capacitor": lambda frame: _two_ended(frame, "capacitor", (0.55, 0.42, 0.28)),
    "lamp": lambda frame: _two_ended(frame, "lamp", (0.86, 0.84, 0.62)),
}
