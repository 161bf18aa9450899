"""Read the header of a TIFF image, and reject raw photographs, which have the same first bytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from PIL.ExifTags import Base as Tag
from PIL.TiffImagePlugin import ImageFileDirectory_v2 as TiffDirectory

from zsad.data.image_header import (
    DECODER_ERRORS,
    Header,
    NotReadError,
    check_length,
    check_pages,
    check_size,
    known,
)
from zsad.data.impostors import RAW

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
LOSSY = (6, 7, 33003, 33005, 34712, 34892, 50001)  # JPEG, JPEG 2000, lossy JPEG of DNG, WebP
COLOURS = {1: (1,), 2: (3, 4)}  # channels that OpenCV decodes correctly, by photometric interpretation
DEPTHS = ((1, 16), (1, 32), (2, 16), (2, 32), (3, 32), (3, 64))  # sample format, bits
SAMPLE_KINDS = {1: "unsigned", 2: "signed", 3: "floating-point"}
FLOAT = 3
BY_PRODUCT = 0b101  # a page that is a smaller copy or a transparency mask of another page
SEPARATED, UNDEFINED = 5, 4  # inks; and a sample format that is treated as unsigned
MAX_PAGES = 10_000
MAX_SUB_PAGES = 32
# Greatest possible ratio of each compression: a file that declares more is damaged.
DEFLATE_GROWTH = 1032
GROWTH = {1: 1, 5: 4096, 8: DEFLATE_GROWTH, 32773: 64, 32946: DEFLATE_GROWTH}
SUBSAMPLED = 6  # YCbCr may have less than one value per pixel

DNG_VERSION, XMP = 50706, 700
RAW_COLOURS = (32803, 34892)  # colour filter array, and linear raw
CANON_RAW = b"CR"  # after the header of a CR2

_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')  # as Pillow reads it in all formats
_ENTRIES = {False: ("H", "HHI4s"), True: ("Q", "HHQ8s")}  # of a directory, by whether it is a BigTIFF


def tiff_header(file: BinaryIO) -> Header:
    """Read the header of a TIFF; no pixel is decoded.

    Raises:
        NotReadError: OpenCV cannot decode it, or not correctly; or there are several images.
        ValueError: it is a raw photograph, or too short for its declared size.
    """
    begin = file.read(10)
    file.seek(0)
    pages = _pages(file)
    tags = pages[0]
    height, width = _number(tags, Tag.ImageLength), _number(tags, Tag.ImageWidth)
    _check_that_it_is_developed(begin, pages, file)
    check_size(height, width)
    header = Header(
        format="TIFF",
        height=height,
        width=width,
        orientation=_orientation(tags),
        bits=_number(tags, Tag.BitsPerSample, 1),
        is_float=_number(tags, Tag.SampleFormat, 1) == FLOAT,
        is_deep=_is_deep(tags),
        is_lossy=_number(tags, Tag.Compression, 1) in LOSSY,
    )
    growth = GROWTH.get(_number(tags, Tag.Compression, 1))
    if growth and _number(tags, Tag.PhotometricInterpretation, 1) != SUBSAMPLED:
        check_length(width * height * header.bits * _number(tags, Tag.SamplesPerPixel, 1), growth, file)
    check_pages(1 + sum(not _number(page, Tag.NewSubfileType, 0) & BY_PRODUCT for page in pages[1:]))
    return header


def without_orientation(content: bytes) -> bytes:
    """The same TIFF with an upright orientation tag.

    Whether a decoder applies the orientation depends on library, version, depth and flags (OpenCV always does, and
    wrongly for tiles of some depths). So decoders get a TIFF without an orientation.
    """
    order = "<" if content[:2] == b"II" else ">"
    is_big = content[2:4] in (b"+\0", b"\0+")
    count_format, entry_format = _ENTRIES[is_big]
    count_format, entry_format = order + count_format, order + entry_format
    (start,) = struct.unpack_from(order + ("Q" if is_big else "I"), content, 8 if is_big else 4)
    (count,) = struct.unpack_from(count_format, content, start)
    start += struct.calcsize(count_format)
    size = struct.calcsize(entry_format)
    upright = struct.pack(order + "H", 1)
    changed = bytearray(content)
    for place in range(start, min(start + count * size, len(content) - size + 1), size):
        (tag,) = struct.unpack_from(order + "H", content, place)
        if tag == Tag.Orientation:
            struct.pack_into(entry_format, changed, place, tag, 3, 1, upright)  # one number of 16 bits
    return bytes(changed)


def _check_that_it_is_developed(begin: bytes, pages: Iterable[TiffDirectory], file: BinaryIO) -> None:
    """Reject a raw photograph, whose first page is a small preview or raw values of a sensor."""
    first, *_ = pages = list(pages)
    inner = [page for page in _sub_pages(first, file) if _area(page)]
    is_raw = DNG_VERSION in first or begin[8:10] == CANON_RAW
    if is_raw or any(_number(page, Tag.PhotometricInterpretation, 1) in RAW_COLOURS for page in (*pages, *inner)):
        raise ValueError(f"it {RAW}")
    if any(_area(page) > _area(first) for page in inner):
        raise NotReadError(
            "has a larger image in a page within its first page, so that the first is only a preview; "
            "save the large one as a file of its own"
        )


def _sub_pages(page: TiffDirectory, file: BinaryIO) -> Iterator[TiffDirectory]:
    """The pages within a page, as far as they are readable: they are no reason to reject an intact image."""
    places = page.get(Tag.SubIFDs, ())
    for place in (places if isinstance(places, tuple) else (places,))[:MAX_SUB_PAGES]:
        try:
            yield _page(file, _begin(file), place)
        except DECODER_ERRORS:
            continue


def _area(page: TiffDirectory) -> int:
    return _number(page, Tag.ImageLength, 0) * _number(page, Tag.ImageWidth, 0)


def _orientation(tags: TiffDirectory) -> int:
    """The orientation by the tag, or else by XMP."""
    if Tag.Orientation in tags:
        return known(_number(tags, Tag.Orientation))
    found = _XMP_ORIENTATION.search(content) if isinstance(content := tags.get(XMP), bytes) else None
    return int(found[1]) if found else 1


def _pages(file: BinaryIO) -> list[TiffDirectory]:
    """The tags of each page; pixels are not read."""
    begin = _begin(file)
    place, seen = TiffDirectory(begin).next, {0}
    pages: list[TiffDirectory] = []
    while place not in seen and len(pages) < MAX_PAGES:
        seen.add(place)
        pages.append(_page(file, begin, place))
        place = pages[-1].next
    if not pages:
        raise ValueError("the TIFF has no pages")
    return pages


def _begin(file: BinaryIO) -> bytes:
    """The header of the file, which is longer in a BigTIFF."""
    file.seek(0)
    begin = file.read(8)
    return begin + file.read(8) if b"+" in begin[2:4] else begin


def _page(file: BinaryIO, begin: bytes, place: int) -> TiffDirectory:
    page = TiffDirectory(begin)
    file.seek(place)
    page.load(file)
    return page


def _number(tags: TiffDirectory, tag: int, default: int | None = None) -> int:
    """The value of a tag; the greatest if it has one value per channel."""
    value = tags.get(tag, default)
    if value is None:
        raise ValueError(f"the TIFF has no tag {Tag(tag).name}")
    return int(max(value)) if isinstance(value, tuple) else int(value)


def _is_deep(tags: TiffDirectory) -> bool:
    """Whether OpenCV must decode it: all but inks and unsigned values of up to 8 bits.

    Raises:
        NotReadError: OpenCV cannot decode it, or not correctly.
    """
    depth, channels = _number(tags, Tag.BitsPerSample, 1), _number(tags, Tag.SamplesPerPixel, 1)
    colour = _number(tags, Tag.PhotometricInterpretation, 1)
    sample = _number(tags, Tag.SampleFormat, 1)
    kind = 1 if sample == UNDEFINED else sample
    if (kind == 1 and depth <= 8) or colour == SEPARATED:
        return False
    colours = f"TIFF photometric {colour}, {channels} channels"
    odd = (
        ((kind, depth) not in DEPTHS, f"{depth}-bit {SAMPLE_KINDS.get(kind, 'complex')} values"),
        (channels not in COLOURS.get(colour, ()), f"{depth}-bit values in an unsupported colour space ({colours})"),
        (channels > 1 and _number(tags, Tag.PlanarConfiguration, 1) != 1, f"{depth}-bit colours in separate planes"),
    )
    for is_so, what in odd:
        if is_so:
            raise NotReadError(
                f"has {what}; save it as grey or RGB with 8 or 16 bits per channel, channels interleaved"
            )
    return True
