"""What a file says of its image before a pixel is decoded, and how it is said that a file is not one to read."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
from PIL import Image, UnidentifiedImageError

from zsad.data.impostors import DAMAGED
from zsad.errors import DataError, MemoryShortageError

MAX_PIXELS = 500_000_000
warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a file is said once, in a sentence
Image.MAX_IMAGE_PIXELS = None  # its own limit is below what a line camera delivers; the one above takes its place

ORIENTATIONS = range(1, 9)
SIDEWAYS = (5, 6, 7, 8)

# A decoder that is given bytes at random raises nearly anything.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    LookupError,
    AssertionError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
    cv2.error,
)


@dataclass(frozen=True)
class Header:
    """What a file says of its image.

    Attributes:
        format: ``"PNG"``, ``"JPEG"``, ``"MPO"``, ``"BMP"``, ``"TIFF"``, ``"WEBP"``, ``"GIF"``, ``"JPEG2000"``,
            ``"AVIF"`` or ``"HEIF"``, by content.
        height, width: pixels as the decoder gives them, before they are turned.
        orientation: as in EXIF, 1 (upright) to 8; 1 where the decoder turns the pixels itself (HEIF).
        bits: of a value of a channel.
        is_float: whether values are floating-point numbers.
        is_deep: whether OpenCV has to decode it, since Pillow would cut the values to 8 bits or refuse them.
        is_lossy: whether the compression changes values.
        images: photographs in the file, of which the first, or the one that the file calls primary, is read.
    """

    format: str
    height: int
    width: int
    orientation: int = 1
    bits: int = 8
    is_float: bool = False
    is_deep: bool = False
    is_lossy: bool = False
    images: int = 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width after turning."""
        return (self.width, self.height) if self.orientation in SIDEWAYS else (self.height, self.width)

    @property
    def says_white(self) -> bool:
        """Whether the file tells which value is white: 8 bits are used as a whole, and JPEG 2000 says how many."""
        return not self.is_float and (self.bits <= 8 or (self.format == "JPEG2000" and self.bits < 16))


class NotReadError(ValueError):
    """A sound file of a kind that is not read; the message continues a sentence that begins with the file's path."""


@contextmanager
def decoding(path: str | Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a sentence.

    Raises:
        DataError: something was raised.
    """
    try:
        yield
    except NotReadError as error:
        raise DataError(f"{path} {error}") from None
    except UnidentifiedImageError:
        raise DataError(unreadable(path, DAMAGED)) from None
    except MemoryError:
        raise MemoryShortageError(
            f"{path} needs more memory than there is; give the job more, or cut the image"
        ) from None
    except DECODER_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(unreadable(path, reason)) from None


def unreadable(path: str | Path, reason: str) -> str:
    """The sentence for a file that is no image, or a damaged one."""
    return f"{path} cannot be read as an image ({reason}); replace it or take it out of the folder"


def check_size(height: int, width: int) -> None:
    """Refuse an image that is empty, or larger than `MAX_PIXELS`, before memory is taken for it."""
    if height * width > MAX_PIXELS:
        raise NotReadError(
            f"has {width} x {height} pixels, more than the {MAX_PIXELS // 10**6} million that are read; "
            "cut it into several images"
        )
    if min(height, width) < 1:
        raise ValueError(f"it has {width} x {height} pixels")


def check_length(bits: int, growth: int, file: BinaryIO) -> None:
    """Refuse a file that is too short for its pixels, before memory is taken for them.

    Args:
        bits: of all pixels.
        growth: the most that the compression allows.
    """
    if bits > 8 * growth * _length(file):
        raise ValueError("image file is truncated, or its header is damaged")


def check_pages(pages: int) -> None:
    """Refuse several images: only the first would be read, and defects on the others be missed without a word."""
    if pages > 1:
        raise NotReadError(f"has {pages} pages, and nothing says which one is meant; save each as a file of its own")


def known(orientation: object) -> int:
    """An orientation, or 1 if there is no such one."""
    return orientation if isinstance(orientation, int) and orientation in ORIENTATIONS else 1


def _length(file: BinaryIO) -> int:
    before = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(before)
    return length
