"""Decode an image file to its stored pixel values, upright."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
from PIL import Image
from PIL.ExifTags import Base as Tag

from zsad.data.headers import PNG_MAGIC, png_is_whole, read_header
from zsad.data.image_header import Header, decoding, unreadable
from zsad.data.pixels import strips
from zsad.data.tiff_header import without_orientation
from zsad.errors import DataError

# The target of each mode of Pillow; modes with grey or RGB values stay as they are, and all others become RGB.
AS_THEY_ARE = ("L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F")
CONVERTED = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}

# The changes that undo each orientation of EXIF, as views of ``[row, column, ...]``.
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}


class Picture(NamedTuple):
    """Decoded pixels, upright.

    Attributes:
        colour: ``[height, width]`` grey or ``[height, width, 3]`` RGB with the values of the file, except that a
            palette is looked up and inks are converted; of any type, perhaps a view.
        alpha: ``[height, width]``, 0 where fully transparent; None if all is opaque.
        is_lossy: whether compression has changed the values.
        white: the greatest possible value, if the file states it.
    """

    colour: np.ndarray
    alpha: np.ndarray | None
    is_lossy: bool
    white: int | None = None


def read_bytes(path: str | Path) -> bytes:
    """The content of a file.

    Raises:
        DataError: it does not exist, is not a file, or cannot be read.
    """
    with open_image(path) as file:
        return file.read()


@contextmanager
def open_image(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for reading; anything but a regular file is rejected, since reading a pipe could wait for ever.

    Raises:
        DataError: it does not exist, is a broken link, is not a file, or cannot be read.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise DataError(unreadable(path, "it is not a file"))
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        if path.is_symlink():
            target = path.readlink()
            raise DataError(
                f"{path} is a link to {target}, which does not exist; fix the link or remove it from the folder"
            ) from None
        raise DataError(f"the image {path} does not exist; put it back or remove it from the data set") from None
    except OSError as error:
        raise DataError(unreadable(path, error.strerror or type(error).__name__)) from None


def decode(content: bytes, path: str | Path) -> Picture:
    """Decode the content of an image file.

    Args:
        path: for messages.

    Raises:
        DataError: as `zsad.data.headers.read_header`; or the pixels are damaged or truncated.
    """
    header = read_header(io.BytesIO(content), path)
    with decoding(path):
        if header.format == "TIFF" and header.orientation != 1:
            content = without_orientation(content)
        pixels = _deep_pixels(content) if header.is_deep else _pillow_pixels(content, header)
        if pixels.shape[:2] != (header.height, header.width):
            raise ValueError("its number of pixels differs from its header")
    colour, alpha = _split(UPRIGHT[header.orientation](pixels), reverse=header.is_deep)
    return Picture(colour, alpha, header.is_lossy, _own_white(header))


def _own_white(header: Header) -> int | None:
    return 2**header.bits - 1 if header.says_white and header.bits > 8 else None


def _pillow_pixels(content: bytes, header: Header) -> np.ndarray:
    """Pixels by Pillow ``[row, column]`` or ``[row, column, channel]``, as stored."""
    image = Image.open(io.BytesIO(content), formats=(header.format if header.format != "MPO" else "JPEG",))
    if header.format == "TIFF":
        image.getexif()[Tag.Orientation] = 1  # or Pillow turns it by its XMP orientation
    image.load()
    mode = _target_mode(image)
    width, height = image.size
    row = _converted(image, mode, slice(0, 1))
    pixels = np.empty((height, *row.shape[1:]), row.dtype)
    for rows in strips(height, width):
        pixels[rows] = _converted(image, mode, rows)
    return pixels


def _converted(image: Image.Image, mode: str, rows: slice) -> np.ndarray:
    strip = image.crop((0, rows.start, image.width, rows.stop))
    return np.asarray(strip if strip.mode == mode else strip.convert(mode))


def _target_mode(image: Image.Image) -> str:
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        return "RGBA"
    return image.mode if image.mode in AS_THEY_ARE else CONVERTED.get(image.mode, "RGB")


def _deep_pixels(content: bytes) -> np.ndarray:
    """Pixels by OpenCV, colours in the order blue, green, red, alpha; their size, type and values as stored."""
    if content.startswith(PNG_MAGIC) and not png_is_whole(io.BytesIO(content)):
        # OpenCV allocates as much memory as a damaged length declares, and libpng writes to standard error.
        raise ValueError("image file is truncated")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the error is reported once, below
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("its pixels are damaged, truncated or compressed by an unknown method")
    return pixels


def _split(pixels: np.ndarray, *, reverse: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour and alpha as views.

    Args:
        reverse: whether the colours are blue, green, red.
    """
    if pixels.ndim == 2:
        return pixels, None
    channels = pixels.shape[2]
    alpha = pixels[..., -1] if channels in (2, 4) else None
    if channels <= 2:
        return pixels[..., 0], alpha
    return pixels[..., 2::-1] if reverse else pixels[..., :3], alpha
