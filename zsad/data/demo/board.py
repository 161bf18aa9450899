"""A small circuit board seen from above: the object without symmetry, at any angle."""

from __future__ import annotations

import cv2
import numpy as np

from zsad.data.demo import board_layout as layout
from zsad.data.demo.board_components import Canvas, draw_component, draw_pads
from zsad.data.demo.shapes import box_distance, fractal_noise, frame_grid, grain, smoothstep
from zsad.data.demo.surface import Specimen, Surface, similarity, warp

BOARD_HEIGHT = 0.010


def board(side: int, rng: np.random.Generator, angle: float | None = None) -> Specimen:
    """One board on a bench, ``side`` pixels wide, turned by ``angle`` (radians; random unless given)."""
    angle = rng.uniform(0, 2 * np.pi) if angle is None else angle
    pose = similarity(side, angle, rng.normal(1.08, 0.01), tuple(rng.uniform(-0.03, 0.03, 2)))
    bare = _bare_board(side, rng)
    populated = Canvas(bare)
    footprints = [_placed(populated, component, rng) for component in layout.COMPONENTS]
    bench = _bench(side, rng)
    body = warp(_outline(side), pose)
    return Specimen(
        surface=bench.covered(populated.surface.warp(pose), body),
        beneath=bench.covered(bare.warp(pose), body),
        body=body,
        components=tuple(corners @ pose[:, :2].T + pose[:, 2] for corners in footprints),
    )


def _placed(canvas: Canvas, component: layout.Component, rng: np.random.Generator) -> np.ndarray:
    """Draw a component slightly off its nominal place; return its corners ``[4, 2]`` in pixels."""
    x, y = rng.normal(0, 0.0012, 2)
    centre, turn = (component.x + x, component.y + y), component.turn + rng.normal(0, np.radians(0.8))
    draw_component(canvas, component.kind, centre, turn, shade=rng.normal(1, 0.05))
    # A little wider than the body, so that the foot of its walls is included.
    half_x, half_y = layout.HALF_SIZES[component.kind]
    half_x, half_y = half_x + 0.003, half_y + 0.003
    corners = np.array([[-half_x, -half_y], [half_x, -half_y], [half_x, half_y], [-half_x, half_y]])
    cosine, sine = np.cos(turn), np.sin(turn)
    upright = corners @ np.array([[cosine, sine], [-sine, cosine]]) + centre
    seen: np.ndarray = (upright + 0.5) * canvas.surface.side - 0.5
    return seen


def _bare_board(side: int, rng: np.random.Generator) -> Surface:
    """Laminate, tracks, pads and print, upright in the middle of the picture."""
    laminate = np.array([0.075, 0.27, 0.15], np.float32) * rng.normal(1, 0.04, 3).astype(np.float32)
    weave = fractal_noise(side, rng, cells=40, octaves=2)
    cloud = fractal_noise(side, rng, cells=3)
    albedo = laminate * (1 + 0.03 * weave + 0.03 * cloud)[..., None]
    height = np.full((side, side), BOARD_HEIGHT, dtype=np.float32)
    tracks, print_ = _drawn(side, layout.TRACKS, layout.TRACK_WIDTH), _drawn(side, layout.PRINT, layout.PRINT_WIDTH)
    albedo = albedo + 0.75 * tracks[..., None] * (laminate * 1.7 - albedo)
    albedo = albedo + 0.85 * print_[..., None] * (np.float32(0.82) - albedo)
    canvas = Canvas(Surface(albedo, height + 0.0004 * tracks, np.full_like(height, 0.12)))
    for x, y in layout.VIAS:
        canvas.disc((x, y), 0.0055, colour=layout.TIN, gloss=0.6)
        canvas.disc((x, y), 0.0028, colour=(0.03, 0.03, 0.03))
    for x, y in layout.MOUNTING_HOLES:
        canvas.disc((x, y), 0.020, colour=layout.TIN, gloss=0.6)
        canvas.disc((x, y), 0.012, colour=(0.07, 0.07, 0.07), lift=-BOARD_HEIGHT)
    for component in layout.COMPONENTS:
        draw_pads(canvas, component.kind, (component.x, component.y), component.turn)
    return canvas.surface


def _drawn(side: int, lines: tuple[layout.Line, ...], width: float) -> np.ndarray:
    """Cover of the lines of a layout, ``[side, side]``."""
    canvas = np.zeros((side, side), dtype=np.uint8)
    points = [np.round(((np.array(line) + 0.5) * side - 0.5) * 16).astype(np.int32) for line in lines]
    thickness = max(1, round(width * side))
    cv2.polylines(canvas, points, isClosed=False, color=255, thickness=thickness, lineType=cv2.LINE_AA, shift=4)
    return canvas.astype(np.float32) / 255


def _outline(side: int) -> np.ndarray:
    """Cover of the board itself, upright."""
    x, y = frame_grid(side)
    return smoothstep(-box_distance(x, y, layout.BOARD_HALF, corner=0.018) * side / 2 + 0.5)


def _bench(side: int, rng: np.random.Generator) -> Surface:
    """The light grey antistatic bench under the board."""
    speckle = grain(side, rng, 0.006)
    cloud = fractal_noise(side, rng, cells=3)
    albedo = np.array([0.58, 0.60, 0.63], np.float32) * (1 + 0.015 * cloud + 0.02 * speckle)[..., None]
    return Surface(albedo, 0.0002 * speckle, np.zeros((side, side), dtype=np.float32))
