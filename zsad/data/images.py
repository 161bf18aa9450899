"""Read photographs of any common format into one form: 8-bit RGB, upright."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from zsad.data.decoding import Picture, decode, open_image, read_bytes
from zsad.data.headers import read_header
from zsad.data.image_header import Header
from zsad.data.pixels import eight_bit_rgb
from zsad.errors import DataError

# Suffixes with their formats; the actual format is read from the content of a file.
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
    """Whether the name is that of an image: a known suffix in any case, not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: str | Path, sha256: str | None = None, white: float | None = None) -> np.ndarray:
    """Decode an image to uint8 ``[height, width, 3]``, RGB, with its EXIF orientation applied.

    The format is detected from the content (PNG, JPEG, JPEG 2000, BMP, TIFF, WebP, GIF, AVIF; HEIC if pillow-heif is
    installed), not from the suffix. Grey is repeated over the channels, a palette is looked up, and inks are converted
    without a colour profile; `eight_bit_rgb` describes the conversion of values of more than 8 bits. Alpha is dropped:
    the camera's image is in the colours, and blending with a background would add edges that are not on the object. A
    file with several images is rejected, except for the preview or depth map that a camera or a scanner adds to the
    photograph (MPO, reduced TIFF pages), which is ignored; of a HEIC with several images, the primary one is read.

    Decoding needs about 7 bytes per pixel besides the file itself, and 12 for a colour image with 16 bits per channel.

    Args:
        sha256: the digest in the list of images; a different digest means that the file has changed since.
        white: from the list: the value that becomes 255, for values of more than 8 bits; None for the whole range of
            their type. Ignored for JPEG 2000 of 9 to 15 bits, which states it in the file.

    Raises:
        DataError: it does not exist, was changed, is unreadable or truncated, contains several images, has more than
            500 million pixels, or has values without a fixed scale.
    """
    content = read_bytes(path)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path} has changed since it was listed; run again to list it again")
    return _rgb(decode(content, path), path, white)


def image_header(path: str | Path) -> Header:
    """Read the header of an image file.

    Raises:
        DataError: it does not exist, is not an image, or `read_image` rejects its header.
    """
    with open_image(path) as file:
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
