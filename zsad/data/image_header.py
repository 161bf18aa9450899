"""The facts in an image's header, and the errors for files that are not read."""

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
warnings.filterwarnings("ignore", module=r"PIL\.")  # an error of a file is reported once, in a sentence
Image.MAX_IMAGE_PIXELS = None  # its own limit is too low for line cameras; `MAX_PIXELS` replaces it

ORIENTATIONS = range(1, 9)
SIDEWAYS = (5, 6, 7, 8)

# A decoder raises nearly any exception on random bytes.
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
    """The facts in the header of an image file.

    Attributes:
        format: ``"PNG"``, ``"JPEG"``, ``"MPO"``, ``"BMP"``, ``"TIFF"``, ``"WEBP"``, ``"GIF"``, ``"JPEG2000"``,
            ``"AVIF"`` or ``"HEIF"``, by content.
        height, width: pixels as the decoder gives them, before the orientation is applied.
        orientation: as in EXIF, 1 (upright) to 8; 1 where the decoder applies the orientation itself (HEIF).
        bits: per value of a channel.
        is_float: whether values are floating-point numbers.
        is_deep: whether OpenCV must decode it, since Pillow would reduce the values to 8 bits or reject them.
        is_lossy: whether the compression changes values.
        images: number of photographs in the file; the first, or the one marked as primary, is read.
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
        """Height and width after the orientation is applied."""
        return (self.width, self.height) if self.orientation in SIDEWAYS else (self.height, self.width)

    @property
    def says_white(self) -> bool:
        """Whether the file defines which value is white: 8 bits are fully used, and JPEG 2000 states its bits."""
        return not self.is_float and (self.bits <= 8 or (self.format == "JPEG2000" and self.bits < 16))


class NotReadError(ValueError):
    """An intact file of an unsupported kind; the message continues a sentence that begins with the file's path."""


@contextmanager
def decoding(path: str | Path) -> Iterator[None]:
    """Turn any exception of a decoder into one clear sentence.

    Raises:
        DataError: the decoder raised an exception.
    """
    try:
        yield
    except NotReadError as error:
        raise DataError(f"{path} {error}") from None
    except UnidentifiedImageError:
        raise DataError(unreadable(path, DAMAGED)) from None
    except MemoryError:
        raise MemoryShortageError(
            f"{path} needs more memory than is available; give the job more memory, or cut the image"
        ) from None
    except DECODER_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(unreadable(path, reason)) from None


def unreadable(path: str | Path, reason: str) -> str:
    """The message for a file that is not an image, or is damaged."""
    return f"{path} cannot be read as an image ({reason}); replace it or remove it from the folder"


def check_size(height: int, width: int) -> None:
    """Reject an image that is empty or larger than `MAX_PIXELS`, before memory is allocated for it."""
    if height * width > MAX_PIXELS:
        raise NotReadError(
            f"has {width} x {height} pixels, more than the {MAX_PIXELS // 10**6} million that can be read; "
            "cut it into several images"
        )
    if min(height, width) < 1:
        raise ValueError(f"it has {width} x {height} pixels")


def check_length(bits: int, growth: int, file: BinaryIO) -> None:
    """Reject a file that is too short for its pixels, before memory is allocated for them.

    Args:
        bits: of all pixels.
        growth: greatest possible ratio of the compression.
    """
    if bits > 8 * growth * _length(file):
        raise ValueError("image file is truncated, or its header is damaged")


def check_pages(pages: int) -> None:
    """Reject several images: only the first would be read, and defects in the others would be missed silently."""
    if pages > 1:
        raise NotReadError(
            f"has {pages} pages, and only one image per file is supported; save each as a file of its own"
        )


def known(orientation: object) -> int:
    """Return an orientation of EXIF, or 1 if the value is not one."""
    return orientation if isinstance(orientation, int) and orientation in ORIENTATIONS else 1


def _length(file: BinaryIO) -> int:
    before = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(before)
    return length
