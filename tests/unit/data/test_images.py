"""Photographs and masks as people have them are read into one form."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from zsad.data import pixels
from zsad.data.images import image_size, read_image
from zsad.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF", ".PNG"])
def test_colour_images_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(RGB).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), RGB)
    assert image_size(tmp_path / f"a{suffix}") == (6, 9)


def test_grey_palette_and_alpha_become_rgb(tmp_path: Path) -> None:
    grey = RGB[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, axis=2))

    palette = Image.fromarray(RGB // 128 * 255).convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), np.asarray(palette.convert("RGB")))

    Image.fromarray(np.dstack([RGB, np.full((6, 9), 7, np.uint8)])).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), RGB)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_images_are_scaled_by_a_fixed_factor(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 257, 1000], [32768, 65534, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"deep{suffix}")
    expected = np.round(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / f"deep{suffix}")[..., 0], expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright_by_their_exif_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(RGB).save(path, exif=exif)
    assert read_image(path).shape[:2] == image_size(path) == ((6, 9) if orientation <= 4 else (9, 6))


def test_a_file_that_changed_since_the_manifest_is_refused(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    digest = hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    read_image(tmp_path / "a.png", digest)
    Image.fromarray(RGB[::-1]).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="has changed since it was listed"):
        read_image(tmp_path / "a.png", digest)


@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.6, 0.95])
def test_a_truncated_image_is_named(tmp_path: Path, part: float) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(DataError, match=r"cut\.png cannot be read as an image"):
        read_image(path)


def test_a_page_saved_as_png_is_named(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_text("<html>404</html>")
    for read in (read_image, image_size):
        with pytest.raises(DataError, match=r"page\.png cannot be read as an image"):
            read(tmp_path / "page.png")
    with pytest.raises(DataError, match=r"none\.png does not exist"):
        read_image(tmp_path / "none.png")


GREY = RGB[..., 0]
DEEP = np.array([[0, 257, 1000], [32768, 65534, 65535]], dtype=np.uint16)
DEEP_RGB = np.dstack([DEEP, DEEP[::-1], 65535 - DEEP])


def by_pillow(pixels: np.ndarray, mode: str | None = None, **options: object) -> Callable[[Path], None]:
    image = Image.fromarray(pixels)
    return lambda path: (image if mode is None else image.convert(mode)).save(path, **options)


def by_opencv(pixels: np.ndarray) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(cv2.imencode(path.suffix, pixels[..., ::-1])[1].tobytes())


def by_tifffile(pixels: np.ndarray, **options: object) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, pixels, **options)


def as_cmyk(path: Path) -> None:
    """White is no ink, and each of three squares is all of one ink."""
    inks = np.zeros((8, 32, 4), np.uint8)
    for square in range(3):
        inks[:, 8 * (square + 1) : 8 * (square + 2), square] = 255
    Image.fromarray(inks, "CMYK").save(path, quality=100, subsampling=0)


def png_of_grey_with_alpha(path: Path) -> None:
    """Written by hand, since no library here does."""
    rows = b"".join(b"\0" + np.dstack([row, 65535 - row]).astype(">u2").tobytes() for row in DEEP)
    height, width = DEEP.shape
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    framed = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))


def with_preview(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(RGB, photometric="rgb")
        writer.write(RGB[::3, ::3].copy(), photometric="rgb", subfiletype=1)


CMYK = np.repeat(
    np.repeat(np.array([[[255, 255, 255], [0, 255, 255], [255, 0, 255], [255, 255, 0]]]), 8, axis=1), 8, axis=0
)
CASES = {
    "grey.png": (by_pillow(GREY), GREY, 0),
    "grey with alpha.png": (by_pillow(np.dstack([GREY, GREY]), None), GREY, 0),
    "bilevel.png": (by_pillow((GREY > 100).astype(bool)), (GREY > 100) * 255, 0),
    "transparent palette.png": (
        by_pillow(RGB // 128 * 255, "P", transparency=0),
        np.asarray(Image.fromarray(RGB // 128 * 255).convert("P").convert("RGB")),
        0,
    ),
    "cmyk.jpg": (as_cmyk, CMYK, 2),
    "cmyk.tif": (as_cmyk, CMYK, 0),
    "lossless.webp": (by_pillow(RGB, lossless=True), RGB, 0),
    "16 bit.png": (by_pillow(DEEP), np.round(DEEP / 257), 0),
    "16 bit.tif": (by_pillow(DEEP), np.round(DEEP / 257), 0),
    "16 bit big-endian.tif": (by_tifffile(DEEP, byteorder=">"), np.round(DEEP / 257), 0),
    "16 bit colour.png": (by_opencv(DEEP_RGB), np.round(DEEP_RGB / 257), 0),
    "16 bit colour.tif": (by_tifffile(DEEP_RGB, photometric="rgb"), np.round(DEEP_RGB / 257), 0),
    "16 bit colour, big-endian.tif": (
        by_tifffile(DEEP_RGB, photometric="rgb", byteorder=">"),
        np.round(DEEP_RGB / 257),
        0,
    ),
    "16 bit colour, compressed.tif": (by_opencv(DEEP_RGB), np.round(DEEP_RGB / 257), 0),
    "16 bit colour with alpha.tif": (
        by_tifffile(np.dstack([DEEP_RGB, DEEP]), photometric="rgb"),
        np.round(DEEP_RGB / 257),
        0,
    ),
    "16 bit grey with alpha.png": (png_of_grey_with_alpha, np.round(DEEP / 257), 0),
    "colours in planes.tif": (
        by_tifffile(RGB.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate"),
        RGB,
        0,
    ),
    "white is 0.tif": (by_tifffile(GREY, photometric="miniswhite"), 255 - GREY, 0),
    "big.tif": (by_tifffile(DEEP, bigtiff=True), np.round(DEEP / 257), 0),
    "signed 16 bit.tif": (by_tifffile((DEEP // 2).astype(np.int16)), np.round(DEEP // 2 / 257), 0),
    "photograph and its preview.tif": (with_preview, RGB, 0),
    "32 bit.tif": (by_pillow(DEEP.astype(np.int32)), np.round(DEEP / 257), 0),
    "float to 1.tif": (by_pillow((DEEP / 65535).astype(np.float32)), np.round(DEEP / 257), 0),
    "float to 255.tif": (by_pillow(GREY.astype(np.float32)), GREY, 0),
    "float to 65535.tif": (by_pillow(DEEP.astype(np.float32)), np.round(DEEP / 257), 0),
    "double.tif": (by_tifffile(DEEP / 65535.0), np.round(DEEP / 257), 0),
    "float colour.tif": (
        by_tifffile((RGB / 255).astype(np.float32), photometric="rgb"),
        RGB,
        0,
    ),
    "one pixel.png": (by_pillow(RGB[:1, :1]), RGB[:1, :1], 0),
    "a line.png": (by_pillow(np.tile(RGB, (1, 500, 1))[:1]), np.tile(RGB, (1, 500, 1))[:1], 0),
    "UPPER {case} \u00e4.TIFF": (by_pillow(RGB), RGB, 0),
    "in truth a PNG.jpg": (lambda path: Image.fromarray(RGB).save(path, "PNG"), RGB, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_whatever_a_camera_saves_becomes_8_bit_rgb(tmp_path: Path, name: str) -> None:
    save, expected, tolerance = CASES[name]
    save(tmp_path / name)
    pixels = read_image(tmp_path / name)
    expected = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, axis=2)
    assert pixels.dtype == np.uint8
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(float) - expected).max() <= tolerance
    assert image_size(tmp_path / name) == pixels.shape[:2]
    (tmp_path / "link.png").symlink_to(tmp_path / name)
    np.testing.assert_array_equal(read_image(tmp_path / "link.png"), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "late.png"])
def test_the_pixels_are_turned_as_pillow_turns_them(tmp_path: Path, orientation: int, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / name
    Image.fromarray(RGB).save(path, exif=exif, quality=100)
    if name == "late.png":
        move_exif_behind_the_pixels(path)
    with Image.open(path) as image:
        image.load()
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_image(path), expected)
    assert image_size(path) == expected.shape[:2]


def move_exif_behind_the_pixels(path: Path) -> None:
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    stop = start + 12 + int.from_bytes(content[start : start + 4])
    end = content.index(b"IEND") - 4
    path.write_bytes(content[:start] + content[stop:end] + content[start:stop] + content[end:])


def test_the_photograph_is_read_where_a_camera_appends_a_preview(tmp_path: Path) -> None:
    photograph, preview = (Image.fromarray(np.full((16, 24, 3), value, np.uint8)) for value in (200, 10))
    photograph.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[preview])
    assert read_image(tmp_path / "a.jpg").min() > 190


def odd_float(value: float) -> Callable[[Path], None]:
    pixels = np.full((4, 5), 0.5, np.float32)
    pixels[2, 3] = value
    return by_pillow(pixels)


def bomb(path: Path) -> None:
    """A PNG of a few bytes whose header promises 50 000 x 20 000 pixels."""
    Image.new("1", (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 50_000, 20_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def of_a_wrong_length(path: Path) -> None:
    """A TIFF without compression whose header promises 20 000 times the rows that there are."""
    Image.fromarray(RGB).save(path)
    rows = struct.pack("<HHII", 257, 4, 1, 6)
    assert rows in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(rows, struct.pack("<HHII", 257, 4, 1, 120_000)))


def with_a_chunk_of_4_gigabytes(path: Path) -> None:
    by_opencv(DEEP_RGB)(path)
    content = path.read_bytes()
    place = content.index(b"IDAT") - 4
    path.write_bytes(content[:place] + b"\xff\xff\xff\xf0" + content[place + 4 :])


def two_pages(path: Path) -> None:
    Image.fromarray(RGB).save(path, save_all=True, append_images=[Image.fromarray(RGB)])


REFUSED = {
    "nan.tif": (odd_float(np.nan), r"has pixels that are NaN or infinite; replace them"),
    "inf.tif": (odd_float(np.inf), r"has pixels that are NaN or infinite"),
    "negative.tif": (odd_float(-0.5), r"has values outside 0\.\.65535 \(from -0\.5 to 0\.5\)"),
    "large.tif": (odd_float(1e6), r"has values outside 0\.\.65535"),
    "signed.tif": (by_tifffile(np.full((3, 4), -1, np.int16)), r"has values outside 0\.\.65535 \(from -1 to -1\)"),
    "overshoot.tif": (odd_float(1.2), r"from 0\.5 to 1\.2, which match none of the ranges 0\.\.1, 0\.\.255 and"),
    "10 bits.tif": (odd_float(1023), r"from 0\.5 to 1023, which match none of the ranges"),
    "planes.tif": (
        by_tifffile(DEEP_RGB.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate"),
        r"has 16-bit colours in separate planes; save it as grey or RGB with 8 or 16 bits per channel, channels inter",
    ),
    "white is 0.tif": (by_tifffile(DEEP, photometric="miniswhite"), r"colour space \(TIFF photometric 0"),
    "half.tif": (by_tifffile(np.zeros((3, 4), np.float16)), r"has 16-bit floating-point values; save it as"),
    "length.tif": (of_a_wrong_length, r"cannot be read as an image \(image file is truncated, or"),
    "chunk.png": (with_a_chunk_of_4_gigabytes, r"cannot be read as an image \(image file is truncated\)"),
    "photo.jpg": (
        lambda path: path.write_bytes(b"\0\0\0\x24ftypheic" + bytes(40)),
        r"\(its header is damaged or",
    ),
    "pointer.png": (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), r"Git LFS"),
    "double nan.tif": (by_tifffile(np.full((3, 4), np.nan)), r"NaN or infinite"),
    "pages.tif": (two_pages, r"has 2 pages, and only one image per file is supported; save each as a file of its own"),
    "double pages.tif": (by_tifffile(np.zeros((2, 8, 9))), r"has 2 pages"),
    "bomb.png": (bomb, r"has 50000 x 20000 pixels, more than the 500 million that can be read; cut it into several"),
    "pipe.png": (os.mkfifo, r"cannot be read as an image \(it is not a file\)"),
    "folder.png": (Path.mkdir, r"cannot be read as an image \(it is not a file\)"),
    "broken.png": (lambda path: path.symlink_to("gone.png"), r"is a link to gone\.png, which does not exist; fix"),
    "loop.png": (lambda path: path.symlink_to("loop.png"), r"cannot be read as an image \(.*symbolic links"),
    "beginning.tif": (lambda path: path.write_bytes(b"II*\0"), r"cannot be read as an image"),
    "empty.jpg": (lambda path: path.write_bytes(b""), r"cannot be read as an image \(it is empty\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_an_image_is_said_in_one_sentence(tmp_path: Path, name: str) -> None:
    make, sentence = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(DataError, match=sentence) as raised:
        read_image(tmp_path / name)
    assert str(raised.value).startswith(str(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_a_damaged_orientation_does_not_keep_a_sound_image_from_being_read(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=b"Exif\0\0no tags at all")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)
    assert image_size(tmp_path / "a.png") == (6, 9)


def test_an_image_is_the_same_in_however_many_strips_it_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "STRIP_PIXELS", 20)  # two rows
    Image.fromarray(np.dstack([RGB, GREY])).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png"), RGB)
    by_opencv(np.tile(DEEP_RGB, (3, 3, 1)))(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), np.round(np.tile(DEEP_RGB, (3, 3, 1)) / 257))


def test_large_images_are_read_up_to_a_limit_of_our_own(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000), 1).save(tmp_path / "large.png")  # Pillow would refuse it
    assert image_size(tmp_path / "large.png") == (10_000, 20_000)
    Image.new("1", (30_000, 20_000)).save(tmp_path / "larger.png")
    with pytest.raises(DataError, match="30000 x 20000"):
        image_size(tmp_path / "larger.png")


def test_the_size_of_a_png_is_known_without_decoding_it(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:200])
    assert image_size(path) == (64, 48)
