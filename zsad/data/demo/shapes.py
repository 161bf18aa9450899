"""Random and regular shapes on a square canvas, as float32 covers in 0..1 or as fields.

Positions and lengths are fractions of the canvas' width; x grows to the right and y downwards, from the centre.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np


@lru_cache(maxsize=4)
def frame_grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel, each float32 ``[side, side]`` in -0.5..0.5."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    x, y = np.meshgrid(axis, axis)
    x.flags.writeable = y.flags.writeable = False
    return x, y


def fractal_noise(side: int, rng: np.random.Generator, cells: int, octaves: int = 4) -> np.ndarray:
    """Smooth noise ``[side, side]`` of mean 0 and standard deviation 1.

    Args:
        cells: coarsest detail, in cells across the canvas; each octave is twice as fine and half as strong.
    """
    total = np.zeros((side, side), dtype=np.float32)
    for octave in range(octaves):
        count = cells * 2**octave
        grid = rng.standard_normal((count + 3, count + 3), dtype=np.float32)
        total += cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC) * np.float32(0.5**octave)
    standardised: np.ndarray = (total - total.mean()) / total.std()
    return standardised


def grain(side: int, rng: np.random.Generator, width: float) -> np.ndarray:
    """Fine noise ``[side, side]`` of mean 0 and standard deviation about 1, of grains ``width`` wide."""
    noise = rng.standard_normal((side, side), dtype=np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), max(width * side / 2, 0.5))
    standardised: np.ndarray = blurred / blurred.std()
    return standardised


def blob(
    side: int,
    centre: np.ndarray,
    radius: float,
    rng: np.random.Generator,
    *,
    ragged: float = 0.3,
    soft: float = 0.15,
) -> np.ndarray:
    """Cover of an irregular, roughly elliptical patch.

    Args:
        ragged: how far the outline wanders, as a fraction of the radius.
        soft: width of the edge, as a fraction of the radius.
    """
    x, y = frame_grid(side)
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.6)
    along = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    across = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    distance = np.hypot(along / stretch, across * stretch) / radius
    cells = max(2, round(0.8 / radius))
    inside = 1 - distance + ragged * 0.6 * fractal_noise(side, rng, cells, octaves=3)
    # A distant speck of noise does not belong to the blob.
    inside -= 2 * np.maximum(distance - 1.3, 0)
    return smoothstep(inside / soft + 0.5)


def wandering_path(
    start: np.ndarray, heading: float, length: float, wander: float, rng: np.random.Generator
) -> np.ndarray:
    """Points ``[point, 2]`` (x, y) of a random line that starts in the direction ``heading`` (radians).

    Args:
        wander: standard deviation of the turn at each hundredth of the canvas, in radians.
    """
    steps = max(2, round(length / 0.01))
    headings = heading + np.cumsum(rng.normal(0, wander, steps))
    points = np.cumsum(0.01 * np.stack([np.cos(headings), np.sin(headings)], axis=1), axis=0)
    path: np.ndarray = np.concatenate([np.zeros((1, 2)), points]) + start
    return path


def distance_to_path(side: int, points: np.ndarray) -> np.ndarray:
    """Distance of every pixel ``[side, side]`` from a line through ``points`` ``[point, 2]``."""
    line = np.full((side, side), 255, dtype=np.uint8)
    cv2.polylines(line, [np.round((points + 0.5) * side - 0.5).astype(np.int32)], isClosed=False, color=0)
    return cv2.distanceTransform(line, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / np.float32(side)


def stroke(side: int, points: np.ndarray, half_width: float | np.ndarray) -> np.ndarray:
    """Cover of a line of the given half width, with an edge one pixel soft."""
    return np.clip((half_width - distance_to_path(side, points)) * side + 0.5, 0, 1).astype(np.float32)


def box_distance(x: np.ndarray, y: np.ndarray, half: tuple[float, float], corner: float = 0.0) -> np.ndarray:
    """Signed distance from a rounded box about the origin, negative inside."""
    beyond_x, beyond_y = np.abs(x) - half[0] + corner, np.abs(y) - half[1] + corner
    outside = np.hypot(np.maximum(beyond_x, 0), np.maximum(beyond_y, 0))
    distance: np.ndarray = outside + np.minimum(np.maximum(beyond_x, beyond_y), 0) - corner
    return distance


def polygon(side: int, corners: np.ndarray) -> np.ndarray:
    """Cover of a convex polygon with ``corners`` ``[corner, 2]``, (x, y) in pixels."""
    canvas = np.zeros((side, side), dtype=np.uint8)
    cv2.fillConvexPoly(canvas, np.round(corners * 16).astype(np.int32), 255, lineType=cv2.LINE_AA, shift=4)
    return canvas.astype(np.float32) / 255


def smoothstep(value: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and a smooth rise between; float32."""
    clipped = np.clip(value, 0, 1).astype(np.float32)
    smooth: np.ndarray = clipped * clipped * (3 - 2 * clipped)
    return smooth


def random_point(body: np.ndarray, rng: np.random.Generator, margin: float) -> np.ndarray:
    """A random point (x, y) of the body, ``margin`` from its edge where the body is wide enough."""
    side = body.shape[0]
    padded = np.pad((body > 0.5).astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1] / side
    rows, columns = np.nonzero((depth > 0) & (depth >= min(margin, 0.6 * depth.max())))
    index = rng.integers(len(rows))
    point: np.ndarray = (np.array([columns[index], rows[index]]) + 0.5) / side - 0.5
    return point
