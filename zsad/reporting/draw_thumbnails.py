"""Thumbnails of the test images of a category, for the contact sheet of the page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zsad.data.image_list import read_image_list
from zsad.data.images import read_image
from zsad.files.pictures import ThumbnailWriter
from zsad.progress import progress
from zsad.reporting import overlays

_JPEG_QUALITY = 80


def draw_thumbnails(*, image_list: Path, longer_side: int, output: Path, provenance: Mapping[str, Any]) -> None:
    """Make a thumbnail of every test image; smaller images keep their size.

    Args:
        longer_side: pixels.
        output: see `zsad.files.pictures.ThumbnailWriter`.

    Raises:
        DataError: the list or an image cannot be read, or has changed.
    """
    images = [image for image in read_image_list(image_list) if image.split == "test"]
    with ThumbnailWriter(output, [image.image_id for image in images], provenance) as writer:
        pixels_of = [image.pixels for image in images]
        for image in progress(images, total=len(images), label="drawing thumbnails", work=pixels_of):
            pixels = read_image(image.path, image.sha256, image.white)
            writer.append(_jpeg(_shrink(pixels, longer_side)))


def _shrink(pixels: np.ndarray, longer_side: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    if max(height, width) <= longer_side:
        return pixels
    return overlays.photograph(pixels, overlays.panel_size(height, width, longer_side))


def _jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=_JPEG_QUALITY, optimize=True)
    return stream.getvalue()
