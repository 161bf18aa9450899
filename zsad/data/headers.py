"""Read the header of an image file of any format, and reject unsupported files.

A size that would not fit into memory is found here, before anything is made for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as Tag

from zsad.data.containers import container_format, is_container
from zsad.data.image_header import DECODER_ERRORS, Header, check_length, check_pages, check_size, decoding, known
from zsad.data.impostors import BYTES, what_instead
from zsad.data.jpeg2000_header import jpeg2000_values
from zsad.data.tiff_header import DEFLATE_GROWTH, tiff_header
from zsad.data.tiff_header import MAGIC as TIFF_MAGIC

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "JPEG2000")  # that Pillow recognises

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH, PNG_COLOUR = 24, 25  # where a PNG has its bit depth and colour type
PNG_GREY = 0
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
ALWAYS_LOSSY = ("JPEG", "MPO", "AVIF", "HEIF")
# The other images of an MPO are a preview or a depth map; those of a HEIC are a burst, with one marked as primary.
ONE_IS_MEANT = ("MPO", "HEIF")


def read_header(file: BinaryIO, path: str | Path) -> Header:
    """Read the header of an open file.

    Args:
        file: at its beginning.
        path: for messages.

    Raises:
        DataError: not an image, an unsupported kind of image, several images in one file, or more than 500 million
            pixels.
    """
    with decoding(path):
        return tiff_header(file) if _beginning(file)[:4] in TIFF_MAGIC else _other_header(file)


def png_is_whole(file: BinaryIO) -> bool:
    """Whether the chunks of a PNG lead to its end; a damaged length is not followed."""
    return any(kind == b"IEND" for kind, _ in _png_chunks(file))


def _beginning(file: BinaryIO) -> bytes:
    begin = file.read(BYTES)
    file.seek(0)
    return begin


def _other_header(file: BinaryIO) -> Header:
    begin = _beginning(file)
    formats = (container_format(file),) if is_container(begin) else FORMATS
    try:
        image = Image.open(file, formats=formats)
    except UnidentifiedImageError:
        raise ValueError("its header is damaged or truncated" if formats != FORMATS else what_instead(begin)) from None
    image_format = image.format or ""
    width, height = image.size
    check_size(height, width)  # before decoding, which counting the frames of some formats needs
    is_png = image_format == "PNG"
    wavelets = jpeg2000_values(file) if image_format == "JPEG2000" else None
    bits = begin[PNG_DEPTH] if is_png else wavelets.bits if wavelets else 8
    if is_png:
        check_length(width * height * bits * PNG_CHANNELS.get(begin[PNG_COLOUR], 1), DEFLATE_GROWTH, file)
    images = getattr(image, "n_frames", 1)
    check_pages(1 if image_format in ONE_IS_MEANT else images)
    return Header(
        format=image_format,
        height=height,
        width=width,
        orientation=_orientation(image, file),
        bits=bits,
        is_deep=bits > 8 and not (is_png and begin[PNG_COLOUR] == PNG_GREY),
        is_lossy=wavelets.is_lossy if wavelets else _is_lossy(image_format, file),
        images=images,
    )


def _is_lossy(image_format: str, file: BinaryIO) -> bool:
    """Whether the compression has changed values."""
    return image_format in ALWAYS_LOSSY or (image_format == "WEBP" and not _is_lossless_webp(file))


def _orientation(image: Image.Image, file: BinaryIO) -> int:
    """The orientation by EXIF, or else by XMP; 1 if it is damaged, since the image may be intact.

    In HEIC the container states the orientation, and its decoder applies it: the EXIF of a phone repeats it. Pillow's
    reader of AVIF copies the container's orientation into EXIF.
    """
    if image.format == "HEIF":
        return 1
    try:
        if image.format == "PNG" and "exif" not in image.info and (exif := _png_exif(file)):
            image.info["exif"] = exif
        return known(Image.Image.getexif(image).get(Tag.Orientation))  # the getexif of PNG decodes the whole image
    except DECODER_ERRORS:
        return 1


def _png_exif(file: BinaryIO) -> bytes | None:
    """EXIF of a PNG, which may follow the pixels."""
    for kind, length in _png_chunks(file):
        if kind == b"eXIf":
            return file.read(length)
    return None


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    return _chunks(file, start=len(PNG_MAGIC), order="big", trailer=4)


def _is_lossless_webp(file: BinaryIO) -> bool:
    return any(kind == b"VP8L" for kind, _ in _chunks(file, start=12, order="little", padding=1))


def _chunks(
    file: BinaryIO, *, start: int, order: Literal["big", "little"], trailer: int = 0, padding: int = 0
) -> Iterator[tuple[bytes, int]]:
    """Yield kind and length of each chunk with the file at the chunk's content; afterwards its position is restored.

    Args:
        start: of the first chunk.
        order: byte order of a length, which precedes the kind if it is big-endian (PNG), else follows it (RIFF).
        trailer: bytes after the content.
        padding: 1 if the data after the content begins at an even position.
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
