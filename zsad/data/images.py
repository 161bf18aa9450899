"""Reading photographs as people have them into one form: 8-bit RGB, upright."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from zsad.data.decoding import Picture, decode, opened, read_bytes
from zsad.data.headers import read_header
from zsad.data.image_header import Header
from zsad.data.pixels import eight_bit_rgb
from zsad.errors import DataError

# Endings of names, with the format that they stand for; what a file is, its content says.
FORMATS_BY_SUFFIX = {
    ".png": "PNG",
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".mpo"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    ".webp": "WEBP",
    ".gif": "GIF",
    **dict.fromkeys((".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"), "JPEG2000"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
    ".avif": "AVIF",
}
IMAGE_SUFFIXES = tuple(FORMATS_BY_SUFFIX)


def is_image(path: Path) -> bool:
    """Whether the name is that of an image: a known ending in any case, not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: str | Path, sha256: str | None = None, white: float | None = None) -> np.ndarray:
    """Decode an image to uint8 ``[height, width, 3]``, RGB, upright by its EXIF orientation.

    The content tells the format (PNG, JPEG, JPEG 2000, BMP, TIFF, WebP, GIF, AVIF; HEIC if pillow-heif is installed),
    whatever the name's ending. Grey is repeated over the channels, a palette is looked up, and inks are mixed without
    a colour profile; `eight_bit_rgb` says what becomes of values of more than 8 bits. Alpha is dropped: what a camera
    took is in the colours, and to blend them with a background would draw edges that are not on the part. A file with
    several images is refused, but for the preview or depth map that a camera or a scanner puts beside the photograph
    (MPO, reduced TIFF pages), which is not looked at; of a HEIC with several, the one that it calls primary is read.

    While it is decoded, an image needs about 7 bytes a pixel beside the file itself, and a colour image of 16 bits a
    channel 12.

    Args:
        sha256: the digest that the list of images records; another one means that the file has changed since.
        white: the list's: the value that becomes 255, for values of more than 8 bits; None for the whole range of
            their type. Not for JPEG 2000 of 9 to 15 bits, where the file says it.

    Raises:
        DataError: absent, changed, unreadable, truncated, of several images, of more than 500 million pixels, or with
            values that have no fixed scale.
    """
    content = read_bytes(path)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path} has changed since it was listed; run again to list it anew")
    return _rgb(decode(content, path), path, white)


def image_header(path: str | Path) -> Header:
    """What an image file says of itself.

    Raises:
        DataError: absent, no image, or one that `read_image` refuses by its header.
    """
    with opened(path) as file:
        return read_header(file, path)


def image_facts(path: str | Path, white: float | None = None) -> tuple[int, int, str]:
    """Height and width of an image, upright, and the SHA-256 of its bytes; every pixel is decoded.

    Args:
        white: as of `read_image`.

    Raises:
        DataError: as `read_image`.
    """
    content = read_bytes(path)
    height, width = _rgb(decode(content, path), path, white).shape[:2]
    return height, width, hashlib.sha256(content).hexdigest()


def image_size(path: str | Path) -> tuple[int, int]:
    """Height and width of an image, upright, from its header alone.

    Raises:
        DataError: as `image_header`.
    """
    return image_header(path).upright_size


def greatest_value(path: str | Path, white: float | None = None) -> float:
    """Decode an image as `read_image` does, and return its greatest value before it is scaled.

    Args:
        white: as of `read_image`.

    Raises:
        DataError: as `read_image`.
    """
    picture = decode(read_bytes(path), path)
    _rgb(picture, path, white)
    return float(picture.colour.max())


def _rgb(picture: Picture, path: str | Path, white: float | None) -> np.ndarray:
    return eight_bit_rgb(picture.colour, path, picture.white or white)
