"""The pictures of a gallery: photographs with outlines or filled regions, anomaly maps in colour, masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zsad.maps import at_image_size

# From the Okabe-Ito palette: different for colour-blind readers, and visible on grey, red and green objects.
PREDICTION_COLOUR = (230, 159, 0)
TRUTH_COLOUR = (86, 180, 233)
HALO_COLOUR = (16, 16, 16)
SCALE_PERCENTILES = (1.0, 99.9)
COLOUR_STOPS = 17  # of a scale in a page

_FILL_OPACITY = 0.45
_SUBPIXEL_BITS = 4
_PATH_TOLERANCE = 0.3  # pixels of the picture; a line is one wide
_POLYGON_TOLERANCE = 1e-3  # of the longer side: a third of a pixel of a thumbnail
_SHARE_DECIMALS = 4
_FINE = 1200  # pixels of the longer side; beyond, half a pixel is too small to be seen


@dataclass(frozen=True)
class ColourScale:
    """A colour scale: the same colour for the same value in every image of a category and method.

    Attributes:
        low, high: values of the first and last colour; values beyond get these colours.
        colours: uint8 ``[256, 3]``, RGB.
    """

    low: float
    high: float
    colours: np.ndarray

    def paint(self, values: np.ndarray) -> np.ndarray:
        """uint8 RGB ``[..., 3]`` of ``values``, of any shape."""
        painted: np.ndarray = self.colours[self.shades(values)]
        return painted

    def shades(self, values: np.ndarray) -> np.ndarray:
        """uint8 of the shape of ``values``: 0 at the scale's low end and below, 255 at its high end and above."""
        shades: np.ndarray = np.rint(255 * self.shares(values)).astype(np.uint8)
        return shades

    def stops(self, count: int) -> list[str]:
        """``count`` colours from ``low`` to ``high``, for a page: ``#rrggbb``."""
        painted = self.paint(np.linspace(self.low, self.high, count))
        return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in painted]

    def shares(self, values: np.ndarray) -> np.ndarray:
        """Positions of ``values`` on the scale: float64 of their shape, 0 at or below the low end, 1 at the high."""
        span = self.high - self.low
        fraction = (np.asarray(values, dtype=np.float64) - self.low) / span if span > 0 else np.zeros(np.shape(values))
        shares: np.ndarray = np.clip(fraction, 0, 1)
        return shares


def colour_scale(maps: Iterable[np.ndarray], colormap: str) -> ColourScale:
    """The scale from the 1st to the 99.9th percentile of all patches of all maps together.

    Scaling each map to its own range would give every normal image the colours of a defect.
    """
    from matplotlib import colormaps  # imported here, because thumbnails do not need it

    values = np.concatenate([np.ravel(anomaly_map) for anomaly_map in maps])
    low, high = np.percentile(values, SCALE_PERCENTILES)
    colours = np.rint(255 * colormaps[colormap](np.linspace(0, 1, 256))[:, :3]).astype(np.uint8)
    return ColourScale(float(low), float(high), colours)


def panel_size(height: int, width: int, longer_side: int) -> tuple[int, int]:
    """Height and width of the picture of an image: the same proportions, with the given longer side."""
    scale = longer_side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def photograph(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 RGB ``[height, width, 3]`` of ``size``: an image, shrunk or enlarged."""
    height, width = size
    interpolation = cv2.INTER_AREA if image.shape[0] > height else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=interpolation)


def heat_map(anomaly_map: np.ndarray, size: tuple[int, int], scale: ColourScale) -> np.ndarray:
    """uint8 RGB ``[height, width, 3]`` of ``size``: a map on the patch grid, in colours."""
    return scale.paint(at_image_size(anomaly_map, *size))


def mask_picture(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 ``[height, width]`` of ``size``: defective 255, normal 0, values between for partly defective pixels."""
    height, width = size
    interpolation = cv2.INTER_AREA if mask.shape[0] > height else cv2.INTER_NEAREST
    return cv2.resize(mask.astype(np.uint8) * 255, (width, height), interpolation=interpolation)


def outlined(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], width: int = 1) -> np.ndarray:
    """A copy of ``picture`` (uint8 RGB) with the outline of ``mask`` (bool, of any size) drawn on it.

    The outline is traced at the mask's own resolution, so that regions thinner than a pixel of the picture show.

    Args:
        width: of the line, pixels of the picture.
    """
    drawn = picture.copy()
    contours = _contours(mask, picture.shape[:2])
    for line_colour, thickness in ((HALO_COLOUR, 3 * width), (colour, width)):
        cv2.polylines(drawn, contours, True, line_colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    return drawn


def filled(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """A copy of ``picture`` (uint8 RGB) with ``mask`` (bool, of any size) filled translucently and outlined."""
    coverage = _FILL_OPACITY / 255 * mask_picture(mask, picture.shape[:2])[..., None]
    blended = picture * (1 - coverage) + np.asarray(colour) * coverage
    drawn = np.rint(blended).astype(np.uint8)
    contours = _contours(mask, picture.shape[:2])
    cv2.polylines(drawn, contours, True, colour, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    return drawn


def outline_path(mask: np.ndarray, size: tuple[int, int]) -> str:
    """The borders of a mask's regions and holes (bool, of any size) as the ``d`` of an SVG path; empty without any.

    In pixels of a picture of ``size``, whose left upper corner is (0, 0); corners that cannot be seen are removed.
    """
    parts = []
    for contour in _scaled_contours(mask, size):
        corners = cv2.approxPolyDP(contour.astype(np.float32), _PATH_TOLERANCE, True)[:, 0] + 0.5
        parts.append("M" + "L".join(f"{x:.1f} {y:.1f}".replace(".0", "") for x, y in corners) + "Z")
    return "".join(parts)


def polygons(mask: np.ndarray) -> list[list[float]]:
    """The borders of a mask's regions and holes (bool ``[height, width]``): x, y, x, y, ... in shares of its size.

    Points inside an odd number of borders are marked.
    """
    times = -(-_FINE // max(mask.shape))
    fine = np.repeat(np.repeat(mask.astype(np.uint8), times, axis=0), times, axis=1)
    contours, _ = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    size = np.array([fine.shape[1], fine.shape[0]])
    found = []
    for contour in contours:
        corners = cv2.approxPolyDP(contour, _POLYGON_TOLERANCE * max(fine.shape), True)[:, 0]
        found.append(np.round((corners + 0.5) / size, _SHARE_DECIMALS).ravel().tolist())
    return found


def tagged(picture: np.ndarray, words: str) -> np.ndarray:
    """A copy of ``picture`` (uint8 RGB) with a few words on a dark label in its lower left corner."""
    canvas = Image.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    position = (5, canvas.height - 4)
    left, top, right, bottom = pen.textbbox(position, words, font=font(11), anchor="ls")
    pen.rectangle((left - 5, top - 3, right + 4, bottom + 4), fill=HALO_COLOUR)
    pen.text(position, words, font=font(11), fill=(240, 240, 240), anchor="ls")
    return np.asarray(canvas)


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The typeface of all pictures: DejaVu Sans, which is part of matplotlib and therefore the same everywhere."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def _contours(mask: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """Borders of a mask's regions and holes in the pixels of a picture of ``size``, in fixed-point coordinates."""
    shift = 1 << _SUBPIXEL_BITS
    return [np.rint(contour * shift).astype(np.int32) for contour in _scaled_contours(mask, size)]


def _scaled_contours(mask: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """Borders ``[corner, 1, (x, y)]`` of a mask's regions and holes, relative to the centre of the first pixel."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    scale = np.array([size[1] / mask.shape[1], size[0] / mask.shape[0]])
    return [(contour + 0.5) * scale - 0.5 for contour in contours]
