"""Images of every kind that can carry an orientation, written with each of the eight, for tests."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import tifffile
from PIL import Image

ORIENTATION = 0x0112
# Where the first row and the first column of what is stored are to be seen, as TIFF 6.0 defines it.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{}"/></rdf:RDF></x:xmpmeta>'
)


def seen(stored: np.ndarray, orientation: int) -> np.ndarray:
    """What is to be seen of stored pixels."""
    return stored[_places(*stored.shape[:2], orientation)]


@cache
def _places(rows: int, columns: int, orientation: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column in the file of each pixel that is seen, found one by one."""
    sides = SIDES[orientation]
    height, width = (columns, rows) if sides[0] in ("left", "right") else (rows, columns)
    places = np.empty((2, height, width), int)
    for row in range(rows):
        for column in range(columns):
            from_side = dict(zip(sides, (row, column), strict=True))
            y = from_side["top"] if "top" in from_side else height - 1 - from_side["bottom"]
            x = from_side["left"] if "left" in from_side else width - 1 - from_side["right"]
            places[:, y, x] = row, column
    return places[0], places[1]


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        suffix: of its name.
        write: stored uint8 RGB pixels and an orientation to the content of the file.
        tolerance: how far values may be off for the compression, of 255.
        shown: what is to be read of stored pixels.
    """

    suffix: str
    write: Callable[[np.ndarray, int], bytes]
    tolerance: int = 0
    shown: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels


def as_grey(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels[..., :1], 3, axis=2)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(values: Callable[[np.ndarray], np.ndarray], depth: int, colour: int, *, late: bool = False, xmp: bool = False):
    """A PNG by hand, since no library writes all kinds.

    Args:
        values: pixels to what is stored, of `depth` bits if 8 or 16, and packed already if fewer.
        late: whether EXIF stands behind the pixels.
    """

    def write(pixels: np.ndarray, orientation: int) -> bytes:
        stored = values(pixels).astype(">u2" if depth == 16 else np.uint8)
        height, width = pixels.shape[:2]
        rows = b"".join(b"\0" + row.tobytes() for row in stored)
        turned = (
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.format(orientation).encode())
            if xmp
            else chunk(b"eXIf", exif(orientation).removeprefix(b"Exif\0\0"))
        )
        palette = chunk(b"PLTE", b"".join(bytes([level] * 3) for level in range(256))) if colour == 3 else b""
        pixels_chunk = chunk(b"IDAT", zlib.compress(rows))
        return b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
                palette,
                *((pixels_chunk, turned) if late else (turned, pixels_chunk)),
                chunk(b"IEND", b""),
            )
        )

    return write


def by_pillow(image_format: str, mode: str = "RGB", *, xmp: bool = False, **options: object):
    def write(pixels: np.ndarray, orientation: int) -> bytes:
        buffer = io.BytesIO()
        tag = {"xmp": XMP.format(orientation).encode()} if xmp else {"exif": exif(orientation)}
        Image.fromarray(pixels).convert(mode).save(buffer, image_format, **tag, **options)
        return buffer.getvalue()

    return write


def as_mpo(pixels: np.ndarray, orientation: int) -> bytes:
    buffer = io.BytesIO()
    first, preview = Image.fromarray(pixels), Image.fromarray(pixels[::4, ::4].copy())
    first.save(buffer, "MPO", save_all=True, append_images=[preview], exif=exif(orientation), quality=95)
    return buffer.getvalue()


def tiff(values: Callable[[np.ndarray], np.ndarray], *, xmp: bool = False, **options: object):
    """A TIFF by tifffile."""

    def write(pixels: np.ndarray, orientation: int) -> bytes:
        buffer = io.BytesIO()
        text = XMP.format(orientation).encode()
        tag = (700, 1, len(text), text, True) if xmp else (ORIENTATION, 3, 1, orientation, True)
        tifffile.imwrite(buffer, values(pixels), extratags=[tag], **options)
        return buffer.getvalue()

    return write


def tiff_by_pillow(values: Callable[[np.ndarray], Image.Image], **options: object):
    def write(pixels: np.ndarray, orientation: int) -> bytes:
        buffer = io.BytesIO()
        values(pixels).save(buffer, "TIFF", tiffinfo={ORIENTATION: orientation}, **options)
        return buffer.getvalue()

    return write


def tiff_by_opencv(pixels: np.ndarray, orientation: int) -> bytes:
    """Compressed, of 16 bits; OpenCV writes no orientation, so another tag is made one."""
    content = bytearray(cv2.imencode(".tif", (pixels.astype(np.uint16) * 257)[..., ::-1])[1].tobytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    entries = [content[start + 2 + 12 * index :][:12] for index in range(count)]
    planes = struct.pack("<H", 284)  # which are not meant by default either
    others = [entry for entry in entries if entry[:2] != planes]
    assert len(others) == count - 1
    turned = bytearray(struct.pack("<HHII", ORIENTATION, 3, 1, orientation))
    changed = sorted([*others, turned], key=lambda entry: entry[:2][::-1])
    content[start + 2 : start + 2 + 12 * count] = b"".join(changed)
    return bytes(content)


def heif(mode: str):
    def write(pixels: np.ndarray, orientation: int) -> bytes:
        import pillow_heif

        buffer = io.BytesIO()
        image = pillow_heif.from_pillow(Image.fromarray(pixels).convert(mode))
        image.save(buffer, format="HEIF", quality=95, exif=exif(orientation))  # written as a turn of the container
        return buffer.getvalue()

    return write


def _grey(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 0]


def _with_alpha(pixels: np.ndarray) -> np.ndarray:
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


def _deep(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.uint16) * 257


def _unit(pixels: np.ndarray) -> np.ndarray:
    return (pixels / 255).astype(np.float32)


def _in_planes(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


RGB = {"photometric": "rgb"}
RGBA = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
TILES = {"tile": (16, 16)}
ENDIANS = {
    "big-endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "tiles": TILES,
    "strips": {"rowsperstrip": 5},
}
DEPTHS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "8 bit": lambda pixels: pixels,
    "16 bit": _deep,
    "32 bit": lambda pixels: _deep(pixels).astype(np.uint32),
    "signed 32 bit": lambda pixels: _deep(pixels).astype(np.int32),
    "float": _unit,
    "double": lambda pixels: pixels / 255.0,
}

KINDS: dict[str, Kind] = {
    "PNG grey": Kind(".png", png(_grey, 8, 0), shown=as_grey),
    "PNG of 1 bit": Kind(
        ".png",
        png(lambda pixels: np.packbits(pixels[..., 0] > 127, axis=1), 1, 0),
        shown=lambda pixels: (as_grey(pixels) > 127) * np.uint8(255),
    ),
    "PNG palette": Kind(".png", png(_grey, 8, 3), shown=as_grey),
    "PNG grey with alpha": Kind(".png", png(lambda pixels: _with_alpha(pixels)[..., [0, 3]], 8, 4), shown=as_grey),
    "PNG": Kind(".png", png(lambda pixels: pixels, 8, 2)),
    "PNG with alpha": Kind(".png", png(_with_alpha, 8, 6)),
    "PNG with EXIF behind the pixels": Kind(".png", png(lambda pixels: pixels, 8, 2, late=True)),
    "PNG with XMP": Kind(".png", png(lambda pixels: pixels, 8, 2, xmp=True)),
    "PNG grey, 16 bit": Kind(".png", png(lambda pixels: _deep(_grey(pixels)), 16, 0), shown=as_grey),
    "PNG grey with alpha, 16 bit": Kind(
        ".png", png(lambda pixels: _deep(_with_alpha(pixels)[..., [0, 3]]), 16, 4), shown=as_grey
    ),
    "PNG, 16 bit": Kind(".png", png(_deep, 16, 2)),
    "PNG with alpha, 16 bit": Kind(".png", png(lambda pixels: _deep(_with_alpha(pixels)), 16, 6)),
    "PNG, 16 bit, with EXIF behind the pixels": Kind(".png", png(_deep, 16, 2, late=True)),
    "PNG, 16 bit, with XMP": Kind(".png", png(_deep, 16, 2, xmp=True)),
    "JPEG": Kind(".jpg", by_pillow("JPEG", quality=95, subsampling=0), 12),
    "JPEG grey": Kind(".jpg", by_pillow("JPEG", "L", quality=95), 12, lambda pixels: _luminance(pixels)),
    "JPEG inks": Kind(".jpg", by_pillow("JPEG", "CMYK", quality=95, subsampling=0), 12),
    "JPEG with XMP": Kind(".jpg", by_pillow("JPEG", xmp=True, quality=95, subsampling=0), 12),
    "JPEG with a preview": Kind(".jpg", as_mpo, 60),
    "WebP lossless": Kind(".webp", by_pillow("WEBP", lossless=True)),
    "WebP lossless with alpha": Kind(".webp", by_pillow("WEBP", "RGBA", lossless=True)),
    "WebP": Kind(".webp", by_pillow("WEBP", quality=95), 60),
    "WebP with XMP": Kind(".webp", by_pillow("WEBP", xmp=True, lossless=True)),
    "AVIF": Kind(".avif", by_pillow("AVIF", quality=98, subsampling="4:4:4"), 12),
    "AVIF with alpha": Kind(".avif", by_pillow("AVIF", "RGBA", quality=98, subsampling="4:4:4"), 12),
    "HEIC": Kind(".heic", heif("RGB"), 80),
    "HEIC grey": Kind(".heic", heif("L"), 12, lambda pixels: _luminance(pixels)),
    "HEIC with alpha": Kind(".heic", heif("RGBA"), 80),
    **{
        f"TIFF {depth} {colour}, {variant}": Kind(
            ".tif",
            tiff(lambda pixels, of=of, taken=taken: taken(of(pixels), pixels), **options, **layout),
            shown=as_grey if colour == "grey" else lambda pixels: pixels,
        )
        for depth, of in DEPTHS.items()
        for colour, taken, options in (
            ("grey", lambda deep, pixels: deep[..., 0], {}),
            ("colour", lambda deep, pixels: deep, RGB),
            ("with alpha", lambda deep, pixels: np.dstack([deep, np.full_like(deep[..., 0], deep.max())]), RGBA),
        )
        for variant, layout in {"plain": {}, **ENDIANS, "deflate": {"compression": "zlib"}}.items()
    },
    "TIFF signed 16 bit": Kind(
        ".tif",
        tiff(lambda pixels: (_deep(pixels[..., 0] // 2)).astype(np.int16)),
        shown=lambda pixels: as_grey(pixels // 2),
    ),
    "TIFF with XMP": Kind(".tif", tiff(lambda pixels: pixels, xmp=True, **RGB)),
    "TIFF, 16 bit, with XMP": Kind(".tif", tiff(_deep, xmp=True, **RGB)),
    "TIFF in planes": Kind(".tif", tiff(_in_planes, planarconfig="separate", **RGB)),
    "TIFF in planes of tiles": Kind(".tif", tiff(_in_planes, planarconfig="separate", **RGB, **TILES)),
    "TIFF inks": Kind(".tif", tiff_by_pillow(lambda pixels: Image.fromarray(pixels).convert("CMYK"))),
    "TIFF white is 0": Kind(".tif", tiff(lambda pixels: 255 - pixels[..., 0], photometric="miniswhite"), shown=as_grey),
    "TIFF of 1 bit": Kind(
        ".tif",
        tiff_by_pillow(lambda pixels: Image.fromarray(pixels[..., 0] > 127), compression="group4"),
        shown=lambda pixels: (as_grey(pixels) > 127) * np.uint8(255),
    ),
    "TIFF palette": Kind(".tif", tiff_by_pillow(lambda pixels: _with_palette(pixels)), shown=as_grey),
    "TIFF LZW": Kind(".tif", tiff_by_pillow(Image.fromarray, compression="tiff_lzw")),
    "TIFF PackBits": Kind(".tif", tiff_by_pillow(Image.fromarray, compression="packbits")),
    "TIFF JPEG": Kind(".tif", tiff_by_pillow(Image.fromarray, compression="jpeg", quality=95), 60),
    "TIFF 16 bit grey, LZW": Kind(
        ".tif",
        tiff_by_pillow(lambda pixels: Image.fromarray(_deep(pixels[..., 0])), compression="tiff_lzw"),
        shown=as_grey,
    ),
    "TIFF 16 bit colour, LZW": Kind(".tif", tiff_by_opencv),
}


def _luminance(pixels: np.ndarray) -> np.ndarray:
    return as_grey(np.asarray(Image.fromarray(pixels).convert("L"))[..., None])


def _with_palette(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels[..., 0], "P")
    image.putpalette([level for level in range(256) for _ in range(3)])
    return image
