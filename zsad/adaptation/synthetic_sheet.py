"""A contact sheet of synthetic images for visual inspection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 208  # pixels of the longer side of a picture
MOST_A_ROW = 6  # images of one recipe
GAP, MARGIN, HEADER, CAPTION = 12, 24, 64, 30
PAPER, INK, FAINT = (255, 255, 255), (27, 31, 36), (104, 112, 122)
LINE, HALO = (255, 176, 0), (16, 16, 16)


class Thumbnail(NamedTuple):
    """A small picture of an image.

    Attributes:
        plain: uint8 RGB ``[row, column, 3]``, without outline.
        outlined: the same with its mask outlined.
    """

    recipe: str
    plain: np.ndarray
    outlined: np.ndarray


def thumbnail(recipe: str, image: np.ndarray, mask: np.ndarray) -> Thumbnail:
    """Thumbnail of an image of any size; small images are enlarged.

    Args:
        image: uint8 RGB ``[height, width, 3]``.
        mask: bool ``[height, width]``.
    """
    height, width = mask.shape
    zoom = SIDE / max(height, width)
    size = max(round(width * zoom), 1), max(round(height * zoom), 1)
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_NEAREST
    plain = cv2.resize(image, size, interpolation=way)
    shares = cv2.resize(mask.astype(np.float32), size, interpolation=way)
    contours, _ = cv2.findContours((shares >= 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outlined = plain.copy()
    cv2.drawContours(outlined, contours, -1, HALO, 3, cv2.LINE_AA)
    cv2.drawContours(outlined, contours, -1, LINE, 1, cv2.LINE_AA)
    return Thumbnail(recipe, plain, outlined)


def contact_sheet(title: str, thumbnails: Sequence[Thumbnail]) -> Image.Image:
    """The first images of each recipe: without and, below, with their masks outlined."""
    recipes = list(dict.fromkeys(each.recipe for each in thumbnails))
    rows = {recipe: [each for each in thumbnails if each.recipe == recipe][:MOST_A_ROW] for recipe in recipes}
    columns = max(map(len, rows.values()))
    heights = {recipe: max(each.plain.shape[0] for each in row) for recipe, row in rows.items()}
    width = max(2 * MARGIN + columns * (SIDE + GAP) - GAP, 560)
    height = HEADER + sum(CAPTION + 2 * each + GAP // 2 + 2 * GAP for each in heights.values()) + MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, 18), title, fill=INK, font=ImageFont.load_default(17))
    top = HEADER
    for recipe, row in rows.items():
        pen.text((MARGIN, top), recipe.replace("_", " "), fill=FAINT, font=ImageFont.load_default(15))
        top += CAPTION
        for place, each in enumerate(row):
            left = MARGIN + place * (SIDE + GAP) + (SIDE - each.plain.shape[1]) // 2
            sheet.paste(Image.fromarray(each.plain), (left, top))
            sheet.paste(Image.fromarray(each.outlined), (left, top + heights[recipe] + GAP // 2))
        top += 2 * heights[recipe] + GAP // 2 + 2 * GAP
    return sheet
