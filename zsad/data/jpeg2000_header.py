"""The bits per value and other facts of a JPEG 2000 file that Pillow does not report, from the codestream's header."""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

from zsad.data.image_header import NotReadError

SIZ = b"\xff\x4f\xff\x51"  # start of a codestream, and its header, which comes first
COMPONENTS = 36  # position in that header, after its length, of the components, with 3 bytes each
SRGB, GREY = 16, 17
DEEP_COLOURS = {1: (None, GREY), 3: (None, SRGB)}  # that OpenCV decodes correctly, by number of components


TRANSFORM = 9  # position in the coding style segment (COD), after its length, of the wavelet type
IRREVERSIBLE = 0
COD, START_OF_TILE = 0xFF52, 0xFF90


class Values(NamedTuple):
    """How a codestream stores values.

    Attributes:
        bits: of each value.
        components: number of channels.
        is_signed: whether they may be negative.
        is_reduced: whether some channels have fewer pixels than the image.
        is_lossy: whether the wavelets do not restore the values exactly.
    """

    bits: int
    components: int
    is_signed: bool
    is_reduced: bool
    is_lossy: bool


def jpeg2000_values(file: BinaryIO) -> Values:
    """How the values are stored.

    Raises:
        NotReadError: more than 8 bits in a form that no library here decodes correctly.
        ValueError: the header is damaged.
    """
    try:
        file.seek(0)
        colour, has_palette = (None, False) if file.read(4) == SIZ else _to_codestream(file)
        values = _values(file)
    except (struct.error, ValueError):
        raise ValueError("its header is damaged or truncated") from None
    if values.bits > 8:
        _check_deep(values, colour, has_palette=has_palette)
    return values


def _check_deep(values: Values, colour: int | None, *, has_palette: bool) -> None:
    is_odd = values.is_reduced or has_palette or colour not in DEEP_COLOURS.get(values.components, ())
    kinds = f"JPEG 2000, {values.components} channels"
    odd = (
        (values.bits > 16, f"{values.bits}-bit values"),
        (values.is_signed, f"signed {values.bits}-bit values"),
        (is_odd, f"{values.bits}-bit values in an unsupported colour space ({kinds})"),
    )
    for is_so, what in odd:
        if is_so:
            raise NotReadError(f"has {what}; save it as grey or RGB with 8 or 16 bits per channel")


def _to_codestream(file: BinaryIO) -> tuple[int | None, bool]:
    """The number of the colour space, if any, and whether there is a palette; leaves the file at its codestream."""
    colour, has_palette = None, False
    place = 0
    while True:
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,), head = struct.unpack(">Q", file.read(8)), 16
        if kind == b"jp2c":
            file.read(len(SIZ))
            return colour, has_palette
        if kind == b"colr":
            method, _, _, number = struct.unpack(">BBBI", file.read(7))
            colour = number if method == 1 else None
        has_palette |= kind == b"pclr"
        if size < head:
            raise ValueError("a box is shorter than its own header")
        place += head if kind == b"jp2h" else size  # the boxes inside it are read in turn


def _values(file: BinaryIO) -> Values:
    """Read the header of a codestream, after its initial markers."""
    header = _segment(file)
    (components,) = struct.unpack_from(">H", header, COMPONENTS - 2)
    each = struct.unpack_from(">" + "3B" * components, header, COMPONENTS)
    kinds = each[::3]
    return Values(
        bits=max((kind & 0x7F) + 1 for kind in kinds),
        components=components,
        is_signed=any(kind & 0x80 for kind in kinds),
        is_reduced=any(step != 1 for step in (*each[1::3], *each[2::3])),
        is_lossy=_is_lossy(file),
    )


def _is_lossy(file: BinaryIO) -> bool:
    """Read on to the coding style of the codestream."""
    while (mark := struct.unpack(">H", file.read(2))[0]) != START_OF_TILE:
        segment = _segment(file)
        if mark == COD:
            return segment[TRANSFORM] == IRREVERSIBLE
    raise ValueError("its coding style is missing")


def _segment(file: BinaryIO) -> bytes:
    """The content of a segment whose marker has been read."""
    (length,) = struct.unpack(">H", file.read(2))
    content = file.read(max(length - 2, 0))
    if len(content) < length - 2:
        raise ValueError("it is truncated")
    return content
