"""Images that are broken, are none, are odd, or change under a run."""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from cases.sound import ALL_CALLED, IMAGES, TILE
from damages import (
    HTML,
    cut,
    draw,
    drawn,
    in_turn,
    linked,
    new_folder,
    nothing,
    removed,
    renamed_to_bytes,
    saved,
    written,
)
from fault import ALL, CHECK, LISTED, MANIFEST, Damage, Fault, Place, restore
from zsad.data import containers

PNG, PNG_ID = f"{TILE}/test/crack/1.png", "test/crack/1.png"
JPEG = f"{TILE}/test/good/1.jpg"
HEIC, AVIF, JP2 = (f"{TILE}/test/good/2.{ending}" for ending in ("heic", "avif", "jp2"))
TIFF, TIFF_ID = f"{TILE}/test/good/2.tif", "test/good/2.tif"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def unreadable(path: str) -> str:
    return rf"{path} cannot be read as an image \("


def warned(*words: str) -> None:
    """The check says so."""
    warnings = json.loads(Path("results/t/tile/check.json").read_text(encoding="utf-8"))["warnings"]
    assert [warning for warning in warnings if all(word in warning for word in words)], warnings


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def bomb(side: int) -> bytes:
    """A PNG of a few hundred bytes whose header promises ``side * side`` black pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000 * (side + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def flip_a_byte(place: Place) -> None:
    """Change one byte in the middle of the compressed pixels."""
    content = bytearray(Path(PNG).read_bytes())
    content[len(content) // 2] ^= 0xFF
    Path(PNG).write_bytes(content)


def enlarge_header(place: Place) -> None:
    """Make the header of a TIFF announce ten times as many rows as there are."""
    image = Image.fromarray(np.zeros((32, 40), np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    rows = struct.pack("<HHII", 257, 4, 1, 32)  # tag ImageLength, LONG, one value
    assert rows in buffer.getvalue()
    Path(TIFF).write_bytes(buffer.getvalue().replace(rows, struct.pack("<HHII", 257, 4, 1, 320)))


def two_pages(place: Place) -> None:
    pages = [Image.fromarray(np.full((32, 40), value, np.uint8)) for value in (0, 255)]
    pages[0].save(TIFF, save_all=True, append_images=pages[1:])


def make_pipe(place: Place) -> None:
    Path(PNG).unlink()
    os.mkfifo(PNG)


def floats(value: float) -> Damage:
    """A float TIFF in [0, 1] with one odd value."""
    pixels = np.full((32, 40), 0.5, np.float32)
    pixels[3, 4] = value
    return saved(TIFF, pixels)


def photograph(path: str, kind: str, share: float = 1) -> Damage:
    """The first part of a photograph in a format of phones or archives."""

    def damage(place: Place) -> None:
        import pillow_heif

        pillow_heif.register_heif_opener()
        content = encoded(np.random.default_rng(30).integers(0, 256, (32, 40, 3), dtype=np.uint8), kind)
        Path(path).write_bytes(content[: int(share * len(content))])

    return damage


def without_pillow_heif(place: Place) -> None:
    """A machine on which pillow-heif is not installed."""
    place.around.callback(containers._teach_pillow_heif.cache_clear)
    place.patched().setitem(sys.modules, "pillow_heif", None)
    containers._teach_pillow_heif.cache_clear()


def raw(place: Place) -> None:
    """A DNG: the first page is a preview, and the tag of its version makes it what it is."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[50706] = b"\1\4\0\0"
    Image.fromarray(np.zeros((8, 10, 3), np.uint8)).save(TIFF, tiffinfo=tags)


def clutter(place: Place) -> None:
    """What cameras, systems and programs leave in folders of images."""
    folder = Path(TILE, "test/good")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.png", ".hidden.png", "notes.txt", "0.png.bak"):
        (folder / name).write_bytes(b"\x00\x05\x16\x07 no image")
    (folder / ".trash").mkdir()
    draw(folder / ".trash" / "0.png", seed=5)


TRUNCATED = (
    *(
        Fault(f"PNG cut off after {tenth} tenths", IMAGES, cut(PNG, tenth / 10), unreadable(PNG))
        for tenth in range(1, 10)
    ),
    *(
        Fault(f"JPEG cut off after {tenth} tenths", IMAGES, cut(JPEG, tenth / 10), unreadable(JPEG))
        for tenth in range(1, 10)
    ),
    Fault("image of no bytes", IMAGES, written(PNG, b""), unreadable(PNG)),
    Fault("PNG with one wrong byte", IMAGES, flip_a_byte, unreadable(PNG)),
    Fault(
        "training images cut off",
        IMAGES,
        in_turn(*(cut(f"{TILE}/train/good/{index}.png", 0.5) for index in range(3))),
        unreadable(rf"{TILE}/train/good/\d\.png"),
    ),
)

NO_IMAGES = (
    Fault("page of a web server saved as PNG", IMAGES, written(PNG, HTML), unreadable(PNG)),
    Fault("pointer of Git LFS in place of the image", IMAGES, written(PNG, POINTER), unreadable(PNG)),
    Fault("folder named like an image", IMAGES, new_folder(f"{TILE}/test/good/x.png")),
    Fault("link that leads nowhere", IMAGES, linked(PNG, "../gone.png"), rf"{PNG} "),
    Fault("link to itself", IMAGES, linked(PNG, "1.png"), unreadable(PNG)),
    Fault("file that the disk cannot read", IMAGES, linked(PNG, "/proc/self/mem"), unreadable(PNG)),
    Fault("pipe named like an image", IMAGES, make_pipe, rf"{PNG} "),
    Fault(
        "clutter of other programs",
        IMAGES,
        clutter,
        alters=CHECK,
        then=lambda place: warned("files ignored because it has no image suffix", "0.png.bak"),
        fix=in_turn(restore, removed("results/t/tile/check.json")),  # no rule knows of files that are not read
    ),
)

ODD = (
    Fault(
        "JPEG saved as PNG",
        IMAGES,
        written(PNG, encoded(np.random.default_rng(21).integers(0, 256, (32, 40, 3), dtype=np.uint8), "JPEG")),
        alters=ALL,
    ),
    Fault("PNG of 50000 x 50000 pixels in a few bytes", IMAGES, written(PNG, bomb(50_000)), rf"{PNG} .*50[ _]?000"),
    Fault("TIFF that promises more rows than it has", IMAGES, enlarge_header, unreadable(TIFF)),
    Fault("float TIFF with NaN", IMAGES, floats(np.nan), rf"{TIFF} "),
    Fault("float TIFF with infinity", IMAGES, floats(np.inf), rf"{TIFF} "),
    Fault("float TIFF with negative values", IMAGES, floats(-0.1), rf"{TIFF} "),
    Fault("TIFF of two pages", IMAGES, two_pages, rf"{TIFF} "),
    Fault(
        "image of one pixel", IMAGES, drawn(f"{TILE}/test/good/2.png", 5, (1, 1)), gains=frozenset({"test/good/2.png"})
    ),
)

FORMATS = (
    *(
        Fault(f"{kind} cut off after {tenth} tenths", IMAGES, photograph(path, kind, tenth / 10), unreadable(path))
        for kind, path in (("HEIF", HEIC), ("AVIF", AVIF), ("JPEG2000", JP2))
        for tenth in (1, 4, 9)
    ),
    Fault(
        "HEIC where nothing reads it",
        IMAGES,
        in_turn(photograph(HEIC, "HEIF"), without_pillow_heif),
        rf"{HEIC} is a HEIC photograph, which only pillow-heif reads; install it \(pip install pillow-heif\)",
    ),
    Fault("HEIC", IMAGES, photograph(HEIC, "HEIF"), gains=frozenset({"test/good/2.heic"})),
    Fault("raw photograph as TIFF", IMAGES, raw, rf"{TIFF} .*camera's raw file"),
    Fault(
        "TIFF of 12 bits",
        IMAGES,
        saved(TIFF, np.full((32, 40), 4095, np.uint16)),
        gains=frozenset({TIFF_ID}),
        then=lambda place: warned("no value is above 4095", "set dataset.params.white"),
    ),
    Fault(
        "scale of deep images where all have 8 bits",
        IMAGES,
        nothing,
        changes={"dataset__params": {"white": 4095}},
        alters=ALL,
        then=lambda place: warned("dataset.params.white is set but applies to no image"),
    ),
)

NAMES = (
    Fault(
        "name that is not UTF-8",
        IMAGES,
        renamed_to_bytes(PNG, b"sch\xe4den.png"),
        r"the name b?'sch.*den\.png' in .* is not text in UTF-8; rename it",
    ),
    Fault(
        "name with a line break", IMAGES, renamed_to_bytes(PNG, b"a\nb.png"), r"'a\\nb\.png'.* contains a line break"
    ),
)

SLIGHT = (Fault("PNG without its end mark", IMAGES, cut(PNG, -12), alters=(*CHECK, *LISTED, *MANIFEST)),)

CHANGING = (
    Fault(
        "image that changes between the manifest and the features",
        IMAGES,
        drawn(PNG),
        rf"{PNG} has changed since it was listed; run again",
        before="extract_features",
    ),
    Fault(
        "image that goes between the manifest and the features",
        IMAGES,
        removed(PNG),
        rf"the image {PNG} does not exist",
        before="extract_features",
    ),
    Fault(
        "image that changes before it is outlined",
        ALL_CALLED,
        drawn(PNG),
        rf"{PNG} has changed since it was listed; run again",
        before="refine_masks",
    ),
    Fault("image that changes after a run", IMAGES, drawn(PNG), finished=True, alters=ALL),
    Fault("image that goes after a run", IMAGES, removed(PNG), finished=True, loses=frozenset({PNG_ID})),
    Fault(
        "image that comes after a run",
        IMAGES,
        drawn(f"{TILE}/test/crack/2.png"),
        finished=True,
        gains=frozenset({"test/crack/2.png"}),
    ),
)

FAULTS: tuple[Fault, ...] = (*TRUNCATED, *NO_IMAGES, *ODD, *FORMATS, *NAMES, *SLIGHT, *CHANGING)
