"""What an image file says of itself before a pixel of it is decoded, and whether it is one that is read.

A size that would not fit into memory is found here, before anything is made for it.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import cv2
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as Tag
from PIL.TiffImagePlugin import ImageFileDirectory_v2 as TiffDirectory

from zsad.errors import DataError, MemoryShortageError

MAX_PIXELS = 500_000_000
Image.MAX_IMAGE_PIXELS = None  # its own limit is below what a line camera delivers; the one above takes its place

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
ORIENTATIONS = range(1, 9)
SIDEWAYS = (5, 6, 7, 8)

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH, PNG_COLOUR = 24, 25  # where a PNG has its bit depth and kind of colour
PNG_GREY = 0
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0")
TIFF_LOSSY = (6, 7, 33003, 33005, 34712, 34892, 50001)  # JPEG, JPEG 2000, lossy JPEG of DNG, WebP
TIFF_COLOURS = {1: (1,), 2: (3, 4)}  # channels that OpenCV gives rightly, by photometric interpretation
TIFF_DEPTHS = ((1, 16), (1, 32), (2, 16), (2, 32), (3, 32), (3, 64))  # sample format, bits
SAMPLE_KINDS = {1: "unsigned", 2: "signed", 3: "floating-point"}
TIFF_BY_PRODUCT = 0b101  # a page that is a smaller copy or a transparency mask of another
SEPARATED, UNDEFINED = 5, 4  # inks; and a sample format, which is taken as unsigned
MAX_PAGES = 10_000
# How many times its length content can grow by each compression, at most: a file that promises more is damaged.
DEFLATE_GROWTH = 1032
TIFF_GROWTH = {1: 1, 5: 4096, 8: DEFLATE_GROWTH, 32773: 64, 32946: DEFLATE_GROWTH}
TIFF_SUBSAMPLED = 6  # YCbCr, of which there may be less than a value a pixel
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by kind of colour

# What is often found under the name of an image, by its first bytes.
IMPOSTORS = (
    (re.compile(rb"(\xef\xbb\xbf)?\s*<"), "it is a web page or other text with tags"),
    (re.compile(rb"version https://git-lfs"), "it is a pointer of Git LFS, whose file is still to be fetched"),
    (re.compile(rb"%PDF"), "it is a PDF"),
    (re.compile(rb"PK\x03\x04"), "it is a ZIP archive"),
    (re.compile(rb"....ftyp", re.DOTALL), "it is a HEIC or AVIF photograph or a video; convert it to JPEG"),
)
DAMAGED = "it is no PNG, JPEG, BMP, TIFF, WebP or GIF, or its header is damaged"

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
        format: ``"PNG"``, ``"JPEG"``, ``"MPO"``, ``"BMP"``, ``"TIFF"``, ``"WEBP"`` or ``"GIF"``, by content.
        height, width: pixels as stored, before they are turned.
        orientation: as in EXIF, 1 (upright) to 8.
        is_deep: whether OpenCV has to decode it, since Pillow would cut the values to 8 bits or refuse them.
        is_lossy: whether the compression changes values.
    """

    format: str
    height: int
    width: int
    orientation: int = 1
    is_deep: bool = False
    is_lossy: bool = False

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width after turning."""
        return (self.width, self.height) if self.orientation in SIDEWAYS else (self.height, self.width)


class _NotReadError(ValueError):
    """A sound file of a kind that is not read; the message is what it has and what to do."""


def read_header(file: BinaryIO, path: str | Path) -> Header:
    """Read the header of an open file.

    Args:
        file: at its beginning.
        path: for messages.

    Raises:
        DataError: no image, one of a kind that is not read, several images in one file, or more than `MAX_PIXELS`.
    """
    with decoding(path):
        header = _tiff_header(file) if _beginning(file)[:4] in TIFF_MAGIC else _other_header(file)
        _check_size(header)
    return header


@contextmanager
def decoding(path: str | Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a sentence.

    Raises:
        DataError: something was raised.
    """
    try:
        yield
    except _NotReadError as error:
        raise DataError(f"{path} has {error}") from None
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


def _check_size(header: Header) -> None:
    if header.height * header.width > MAX_PIXELS:
        raise _NotReadError(
            f"{header.width} x {header.height} pixels, more than the {MAX_PIXELS // 10**6} million that are read; "
            "cut it into several images"
        )
    if min(header.height, header.width) < 1:
        raise ValueError(f"it has {header.width} x {header.height} pixels")


def _check_length(bits: int, growth: int, file: BinaryIO) -> None:
    """Refuse a file that is too short for its pixels, before memory is taken for them.

    Args:
        bits: of all pixels.
        growth: the most that the compression allows.
    """
    if bits > 8 * growth * _length(file):
        raise ValueError("image file is truncated, or its header is damaged")


def _length(file: BinaryIO) -> int:
    before = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(before)
    return length


def _check_pages(pages: int) -> None:
    """Only the first would be read, and defects on the others be missed without a word."""
    if pages > 1:
        raise _NotReadError(f"{pages} pages, and nothing says which one is meant; save each as a file of its own")


def _beginning(file: BinaryIO) -> bytes:
    begin = file.read(32)
    file.seek(0)
    return begin


def _other_header(file: BinaryIO) -> Header:
    begin = _beginning(file)
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(_what_instead(begin)) from None
    image_format = image.format or ""
    width, height = image.size
    is_png = image_format == "PNG"
    header = Header(
        format=image_format,
        height=height,
        width=width,
        orientation=_orientation(image, file, is_png=is_png),
        is_deep=is_png and begin[PNG_DEPTH] == 16 and begin[PNG_COLOUR] != PNG_GREY,
        is_lossy=image_format in ("JPEG", "MPO") or (image_format == "WEBP" and not _is_lossless_webp(file)),
    )
    _check_size(header)  # before frames are counted, for which some formats are decoded
    if is_png:
        depth, colour = begin[PNG_DEPTH], begin[PNG_COLOUR]
        _check_length(width * height * depth * PNG_CHANNELS.get(colour, 1), DEFLATE_GROWTH, file)
    _check_pages(1 if image_format == "MPO" else getattr(image, "n_frames", 1))  # an MPO's others: depth, preview
    return header


def _what_instead(begin: bytes) -> str:
    if not begin:
        return "it is empty"
    return next((what for pattern, what in IMPOSTORS if pattern.match(begin)), DAMAGED)


def _orientation(image: Image.Image, file: BinaryIO, *, is_png: bool) -> int:
    """By EXIF, or by XMP without that; 1 if that is damaged, since the image may be sound."""
    try:
        if is_png and "exif" not in image.info and (exif := _png_exif(file)):
            image.info["exif"] = exif
        value = Image.Image.getexif(image).get(Tag.Orientation)  # that of PNG decodes the whole image
    except DECODER_ERRORS:
        return 1
    return value if value in ORIENTATIONS else 1


def _png_exif(file: BinaryIO) -> bytes | None:
    """EXIF of a PNG, which may stand behind the pixels."""
    for kind, length in _png_chunks(file):
        if kind == b"eXIf":
            return file.read(length)
    return None


def png_is_whole(file: BinaryIO) -> bool:
    """Whether the chunks of a PNG lead to its end; what a damaged length announces is not looked for."""
    return any(kind == b"IEND" for kind, _ in _png_chunks(file))


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    return _chunks(file, start=len(PNG_MAGIC), order="big", trailer=4)


def _is_lossless_webp(file: BinaryIO) -> bool:
    return any(kind == b"VP8L" for kind, _ in _chunks(file, start=12, order="little", padding=1))


def _chunks(
    file: BinaryIO, *, start: int, order: Literal["big", "little"], trailer: int = 0, padding: int = 0
) -> Iterator[tuple[bytes, int]]:
    """Kind and length of each chunk, at whose content the file stands meanwhile; afterwards it stands as before.

    Args:
        start: of the first chunk.
        order: of the bytes of a length, which stands before the kind if it is big-endian (PNG), else behind (RIFF).
        trailer: bytes behind the content.
        padding: 1 if what is behind the content begins at an even place.
    """
    before = file.tell()
    place = start
    try:
        while len(head := _read_at(file, place, 8)) == 8:
            length, kind = (head[:4], head[4:]) if order == "big" else (head[4:], head[:4])
            size = int.from_bytes(length, order)
            yield kind, size
            place += 8 + size + (size & padding) + trailer
    finally:
        file.seek(before)


def _read_at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _tiff_header(file: BinaryIO) -> Header:
    pages = _tiff_pages(file)
    tags = pages[0]
    orientation = _number(tags, Tag.Orientation, 1)
    header = Header(
        format="TIFF",
        height=_number(tags, Tag.ImageLength),
        width=_number(tags, Tag.ImageWidth),
        orientation=orientation if orientation in ORIENTATIONS else 1,
        is_deep=_is_deep_tiff(tags),
        is_lossy=_number(tags, Tag.Compression, 1) in TIFF_LOSSY,
    )
    _check_size(header)
    growth = TIFF_GROWTH.get(_number(tags, Tag.Compression, 1))
    if growth and _number(tags, Tag.PhotometricInterpretation, 1) != TIFF_SUBSAMPLED:
        bits = (
            header.width * header.height * _number(tags, Tag.BitsPerSample, 1) * _number(tags, Tag.SamplesPerPixel, 1)
        )
        _check_length(bits, growth, file)
    _check_pages(1 + sum(not _number(page, Tag.NewSubfileType, 0) & TIFF_BY_PRODUCT for page in pages[1:]))
    return header


def _tiff_pages(file: BinaryIO) -> list[TiffDirectory]:
    """The tags of each page; the pixels stay where they are."""
    begin = file.read(8)
    if begin[2] == 43:  # BigTIFF
        begin += file.read(8)
    directory = TiffDirectory(begin)
    pages: list[TiffDirectory] = []
    place, seen = directory.next, {0}
    while place not in seen and len(pages) < MAX_PAGES:
        seen.add(place)
        page = TiffDirectory(begin)
        file.seek(place)
        page.load(file)
        pages.append(page)
        place = page.next
    if not pages:
        raise ValueError("the TIFF has no pages")
    return pages


def _number(tags: TiffDirectory, tag: int, default: int | None = None) -> int:
    """The value of a tag; where it has one a channel, the greatest."""
    value = tags.get(tag, default)
    if value is None:
        raise ValueError(f"the TIFF does not say its {Tag(tag).name}")
    return int(max(value)) if isinstance(value, tuple) else int(value)


def _is_deep_tiff(tags: TiffDirectory) -> bool:
    """Whether OpenCV has to decode it, as all but unsigned values of up to 8 bits, and inks.

    Raises:
        _NotReadError: OpenCV would not, or would not decode it rightly.
    """
    depth, channels = _number(tags, Tag.BitsPerSample, 1), _number(tags, Tag.SamplesPerPixel, 1)
    colour = _number(tags, Tag.PhotometricInterpretation, 1)
    sample = _number(tags, Tag.SampleFormat, 1)
    kind = 1 if sample == UNDEFINED else sample
    if (kind == 1 and depth <= 8) or colour == SEPARATED:
        return False
    colours = f"TIFF photometric {colour}, {channels} channels"
    odd = (
        ((kind, depth) not in TIFF_DEPTHS, f"{depth}-bit {SAMPLE_KINDS.get(kind, 'complex')} values"),
        (channels not in TIFF_COLOURS.get(colour, ()), f"{depth}-bit values of an odd kind of colour ({colours})"),
        (channels > 1 and _number(tags, Tag.PlanarConfiguration, 1) != 1, f"{depth}-bit colours in separate planes"),
    )
    for is_so, what in odd:
        if is_so:
            raise _NotReadError(f"{what}; save it as grey or RGB with 8 or 16 bits a channel, channels interleaved")
    return True
