"""Reading photographs as people have them into one form: 8-bit RGB, upright."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from zsad.data.decoding import decode, opened, read_bytes
from zsad.data.headers import read_header
from zsad.data.pixels import eight_bit_rgb
from zsad.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def is_image(path: Path) -> bool:
    """Whether the name is that of an image: a known ending in any case, not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: str | Path, sha256: str | None = None) -> np.ndarray:
    """Decode an image to uint8 ``[height, width, 3]``, RGB, upright by its EXIF orientation.

    The content tells the format (PNG, JPEG, BMP, TIFF, WebP or GIF), whatever the name's ending. Grey is repeated over
    the channels, a palette is looked up, and inks are mixed without a colour profile; `eight_bit_rgb` says what becomes
    of values of more than 8 bits. Alpha is dropped: what a camera took is in the colours, and to blend them with a
    background would draw edges that are not on the part. A file with several images is refused, but for the preview or
    depth map that a camera or a scanner puts beside the photograph (MPO, reduced TIFF pages), which is not looked at.

    While it is decoded, an image needs about 7 bytes a pixel beside the file itself, and a colour image of 16 bits a
    channel 12.

    Args:
        sha256: the digest that the manifest records; another one means that the file has changed since.

    Raises:
        DataError: absent, changed, unreadable, truncated, of several images, of more than 500 million pixels, or with
            values that have no fixed scale.
    """
    content = read_bytes(path)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path} has changed since the manifest was made; run again to make the manifest anew")
    return eight_bit_rgb(decode(content, path).colour, path)


def image_facts(path: str | Path) -> tuple[int, int, str]:
    """Height and width of an image, upright, and the SHA-256 of its bytes; every pixel is decoded.

    Raises:
        DataError: as `read_image`.
    """
    content = read_bytes(path)
    height, width = eight_bit_rgb(decode(content, path).colour, path).shape[:2]
    return height, width, hashlib.sha256(content).hexdigest()


def image_size(path: str | Path) -> tuple[int, int]:
    """Height and width of an image, upright, from its header alone.

    Raises:
        DataError: absent, no image, or one that `read_image` refuses by its header.
    """
    with opened(path) as file:
        return read_header(file, path).upright_size
