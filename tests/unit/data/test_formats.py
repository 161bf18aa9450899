"""The formats beside PNG, JPEG, BMP and TIFF: read where they can be, and else named as what they are."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from zsad.data import containers
from zsad.data.images import FORMATS_BY_SUFFIX, IMAGE_SUFFIXES, image_header, image_size, is_image, read_image
from zsad.data.impostors import UNREAD, unread_kind
from zsad.data.inspection import inspect_category
from zsad.data.layouts.folder import FolderLayout
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.masks import read_mask
from zsad.errors import DataError

COLOURS = np.full((32, 48, 3), 90, np.uint8)
COLOURS[:16, :24] = (230, 30, 60)
COLOURS[16:, 24:] = (20, 60, 200)
IMAGE = Image.fromarray(COLOURS)


@pytest.fixture(autouse=True)
def heif() -> None:
    """Pillow knows HEIC, so that the tests can write it."""
    containers._teach_pillow_heif()


@pytest.fixture
def without_pillow_heif(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    containers._teach_pillow_heif.cache_clear()
    yield
    containers._teach_pillow_heif.cache_clear()


def encoded(image_format: str, image: Image.Image = IMAGE, **options: object) -> bytes:
    if image_format == "HEIF":
        pytest.importorskip("pillow_heif", reason="HEIC is read where pillow-heif is installed")
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


READ = {
    ("a.heic", "HEIF"): 12,
    ("b.HEIF", "HEIF"): 12,
    ("c.hif", "HEIF"): 12,
    ("d.avif", "AVIF"): 30,
    ("e.jp2", "JPEG2000"): 0,
    ("f.j2k", "JPEG2000"): 0,
    ("g.gif", "GIF"): 0,
    ("h.jfif", "JPEG"): 30,
    ("i.dib", "BMP"): 0,
    ("j.jpg", "HEIF"): 12,
    ("k.png", "AVIF"): 30,
    ("l.tif", "JPEG2000"): 0,
}


@pytest.mark.parametrize(("name", "image_format"), READ)
def test_the_content_tells_the_format_and_the_ending_only_that_it_is_an_image(
    tmp_path: Path, name: str, image_format: str
) -> None:
    path = tmp_path / name
    options = {"no_jp2": True} if name.endswith(".j2k") else {"quality": 95} if READ[name, image_format] else {}
    path.write_bytes(encoded(image_format, **options))
    assert is_image(path)
    assert image_header(path).format == image_format
    assert image_size(path) == (32, 48)
    far = np.abs(read_image(path).astype(int) - COLOURS) > READ[name, image_format]
    assert far.mean() < 0.1
    inspection = inspect_category(FolderLayout(), tmp_path, tmp_path.name)
    assert not inspection.problems
    is_misnamed = FORMATS_BY_SUFFIX[path.suffix.lower()] != image_format
    assert [w for w in inspection.warnings if "another format" in w] == (
        [f"1 image in another format than the suffix says, but read anyway: {name} ({image_format})"]
        if is_misnamed
        else []
    )


@pytest.mark.parametrize("name", ["a.heic", "a.jpg"])
def test_heic_without_pillow_heif_is_named_with_the_way_to_install_it(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    (tmp_path / name).write_bytes(encoded("HEIF"))
    read_image(tmp_path / name)
    request.getfixturevalue("without_pillow_heif")
    sentence = (
        f"{tmp_path / name} is a HEIC photograph, which only pillow-heif reads; install it (pip install "
        "pillow-heif), or save the photograph as JPEG"
    )
    for read in (image_size, read_image):
        with pytest.raises(DataError, match=f"^{re.escape(sentence)}$"):
            read(tmp_path / name)
    assert inspect_category(FolderLayout(), tmp_path, "in").problems == (sentence,)


def test_nothing_but_a_heic_has_pillow_heif_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from zsad.data.images import read_image; from PIL import Image; "
        "Image.new('RGB', (4, 4)).save(sys.argv[1] + '/a.png'); read_image(sys.argv[1] + '/a.png'); "
        "assert 'pillow_heif' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


def test_of_a_heic_with_several_photographs_the_primary_one_is_read_and_the_check_says_so(tmp_path: Path) -> None:
    other = Image.fromarray(255 - COLOURS)
    for primary in (0, 1):
        content = encoded("HEIF", save_all=True, append_images=[other], primary_index=primary, quality=95)
        path = tmp_path / f"{primary}.heic"
        path.write_bytes(content)
        expected = np.asarray((IMAGE, other)[primary]).astype(int)
        assert np.median(np.abs(read_image(path) - expected)) < 6
        assert image_header(path).images == 2
    assert inspect_category(FolderLayout(), tmp_path, "in").warnings == (
        "2 files with several photographs, only the primary one of which is read: 0.heic, 1.heic",
    )


@pytest.mark.parametrize("image_format", ["AVIF", "GIF", "WEBP"])
def test_moving_pictures_are_refused(tmp_path: Path, image_format: str) -> None:
    other = Image.fromarray(255 - COLOURS)
    (tmp_path / "a.png").write_bytes(encoded(image_format, save_all=True, append_images=[other]))
    with pytest.raises(DataError, match=r"a\.png has 2 pages, and only one image per file is supported"):
        image_size(tmp_path / "a.png")


def test_masks_of_lossless_wavelets_may_be_0_and_1_and_lossy_ones_are_split_halfway(tmp_path: Path) -> None:
    square = np.zeros((64, 96), np.uint8)
    square[16:40, 30:70] = 1
    Image.fromarray(square).save(tmp_path / "lossless.jp2")
    Image.fromarray(square * np.uint8(255)).save(tmp_path / "lossy.jp2", irreversible=True, quality_layers=[8])
    wide = np.pad(square.astype(np.uint16), 0)
    content = cv2.imencode(".jp2", wide, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1].tobytes()
    (tmp_path / "deep.jp2").write_bytes(content)
    for name in ("lossless.jp2", "lossy.jp2", "deep.jp2"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, 64, 96), square > 0, name)


# --- what is damaged ---


@pytest.mark.parametrize(
    ("name", "image_format"),
    [("a.heic", "HEIF"), ("a.avif", "AVIF"), ("a.jp2", "JPEG2000"), ("a.j2k", "JPEG2000"), ("a.webp", "WEBP")],
)
def test_what_is_cut_off_or_damaged_is_one_sentence_at_once(tmp_path: Path, name: str, image_format: str) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (64, 80, 3), dtype=np.uint8))
    content = encoded(image_format, noise, **({"no_jp2": True} if name.endswith("k") else {}))
    path = tmp_path / name
    for length in (*(len(content) * tenth // 10 for tenth in range(10)), 4, 12, 13, 20, 40, 100, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"cannot be read as an image \(") as raised:
            read_image(path)
        assert "\n" not in str(raised.value)
    start = time.process_time()
    for _ in range(100):
        damaged = bytearray(content)
        for place in rng.integers(0, min(len(content), 400), 3):
            damaged[place] ^= rng.integers(1, 256)
        path.write_bytes(damaged)
        for read in (image_size, read_image):
            with suppress(DataError):  # and nothing else
                read(path)
    assert time.process_time() - start < 100


@pytest.mark.parametrize("image_format", ["HEIF", "AVIF", "JPEG2000"])
def test_a_size_that_is_too_large_is_found_before_anything_is_decoded(tmp_path: Path, image_format: str) -> None:
    """The size stands in the header of each as two numbers of 32 bits."""
    content = encoded(image_format, IMAGE.resize((128, 64)))
    size = struct.pack(">II", 64, 128) if image_format == "JPEG2000" else struct.pack(">II", 128, 64)
    assert size in content
    (tmp_path / "a.png").write_bytes(content.replace(size, struct.pack(">II", 30_000, 30_000)))
    for read in (image_size, read_image):
        with pytest.raises(DataError, match=r"has 30000 x 30000 pixels, more than|cannot be read as an image \("):
            read(tmp_path / "a.png")


# --- what is not read ---


def of_bytes(*parts: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(b"".join(parts) + bytes(200))


def tiff_like(sub: np.ndarray | None = None, **options: object) -> Callable[[Path], None]:
    """A small preview as the first page of a TIFF, and maybe a page within it, as cameras write raw files."""

    def write(path: Path) -> None:
        with tifffile.TiffWriter(path) as writer:
            writer.write(COLOURS[::4, ::4].copy(), photometric="rgb", subifds=int(sub is not None), **options)
            if sub is not None:
                writer.write(sub, photometric="cfa" if sub.dtype == np.uint16 else "rgb")

    return write


DNG_VERSION = [(50706, 1, 4, b"\1\4\0\0", True)]
SENSOR = np.zeros((32, 48), np.uint16)
NAMED = {
    "DNG.dng.tif": (tiff_like(SENSOR, subfiletype=1, extratags=DNG_VERSION), "camera's raw file"),
    "linear DNG.tif": (tiff_like(extratags=DNG_VERSION), "camera's raw file"),
    "NEF.tif": (tiff_like(SENSOR, subfiletype=1), "camera's raw file"),
    "sensor.tif": (lambda path: tifffile.imwrite(path, SENSOR, photometric="cfa"), "camera's raw file"),
    "8-bit sensor.tif": (
        lambda path: tifffile.imwrite(path, SENSOR.astype(np.uint8), photometric="cfa"),
        "camera's raw file",
    ),
    "preview.tif": (tiff_like(COLOURS, subfiletype=1), "has a larger image in a page within its first page"),
    "CR3.jpg": (of_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"), "camera's raw file"),
    "RAF.jpg": (of_bytes(b"FUJIFILMCCD-RAW 0201"), "camera's raw file"),
    "ORF.jpg": (of_bytes(b"IIRO\x08\0\0\0"), "camera's raw file"),
    "RW2.jpg": (of_bytes(b"IIU\0\x08\0\0\0"), "camera's raw file"),
    "X3F.jpg": (of_bytes(b"FOVb"), "camera's raw file"),
    "video.jpg": (of_bytes(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41"), "it is a video"),
    "QuickTime.jpg": (of_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  "), "it is a video"),
    "AVI.jpg": (of_bytes(b"RIFF\0\1\0\0AVI LIST"), "it is a video"),
    "Matroska.jpg": (of_bytes(b"\x1aE\xdf\xa3"), "it is a video"),
    "PSD.png": (of_bytes(b"8BPS\0\1"), "it is a Photoshop document"),
    "XCF.png": (of_bytes(b"gimp xcf v011\0"), "it is a GIMP document"),
    "SVG.png": (lambda path: path.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>'), "it is an SVG drawing"),
    "declared SVG.png": (
        lambda path: path.write_text('<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="1"></svg>'),
        "it is an SVG drawing",
    ),
    "HTML.png": (lambda path: path.write_text("<!DOCTYPE html><html><svg></svg></html>"), "it is a web page"),
    "PDF.png": (of_bytes(b"%PDF-1.7"), "it is a PDF"),
    "PS.png": (of_bytes(b"%!PS-Adobe-3.0 EPSF-3.0"), "it is PostScript"),
    "pointer.png": (of_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "it is a pointer of Git LFS"),
    "ZIP.png": (of_bytes(b"PK\3\4"), "it is a ZIP archive"),
    "gzip.png": (of_bytes(b"\x1f\x8b\x08"), "it is an archive or a compressed file"),
    "JPEG XL.jpg": (of_bytes(b"\xff\x0a"), "it is a JPEG XL image"),
    "JPEG XL box.jpg": (of_bytes(b"\0\0\0\x0cJXL \r\n\x87\n"), "it is a JPEG XL image"),
    "EXR.png": (of_bytes(b"v/1\x01"), "it is an OpenEXR image"),
    "PGM.png": (of_bytes(b"P5\n4 4\n255\n"), "it is a portable map"),
    "DICOM.png": (of_bytes(bytes(128), b"DICM"), "it is a DICOM image"),
    "array.png": (of_bytes(b"\x93NUMPY"), "it is an array of NumPy"),
    "icon.png": (of_bytes(b"\0\0\1\0\1\0"), "it is an icon"),
    "AppleDouble.png": (of_bytes(b"\0\5\x16\7"), "file of macOS"),
    "noise.png": (of_bytes(b"\x07\x09\xf3"), ", or its header is damaged"),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_not_read_is_named_as_what_it_is(tmp_path: Path, name: str) -> None:
    make, sentence = NAMED[name]
    make(tmp_path / name)
    for read in (image_size, read_image):
        with pytest.raises(DataError, match=sentence) as raised:
            read(tmp_path / name)
        assert str(raised.value).startswith(str(tmp_path / name))
        assert "\n" not in str(raised.value)


def test_smaller_copies_within_a_page_do_not_matter(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(COLOURS, photometric="rgb", subifds=1)
        writer.write(COLOURS[::2, ::2].copy(), photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), COLOURS)


def test_pictures_of_kinds_that_are_not_read_are_no_mere_strays(tmp_path: Path) -> None:
    folder = tmp_path / "tile/test/good"
    folder.mkdir(parents=True)
    IMAGE.save(folder / "a.png")
    for name in ("b.CR2", "c.dng", "d.psd", "e.mp4", "f.txt"):
        (folder / name).write_bytes(b"?")
    warnings = inspect_category(MvtecLayout(), tmp_path, "tile").warnings
    assert warnings[-2:] == (
        (
            "4 files ignored because their format is not supported; save as PNG, TIFF or JPEG: "
            "test/good/b.CR2 (camera raw), test/good/c.dng (camera raw), test/good/d.psd (Photoshop) and 1 "
            "more"
        ),
        "1 file ignored because it has no image suffix: test/good/f.txt",
    )


def test_an_ending_is_read_or_not() -> None:
    unread = {ending for endings in UNREAD.values() for ending in endings}
    assert not unread & set(IMAGE_SUFFIXES)
    assert {unread_kind(Path(f"a{ending.upper()}")) for ending in unread} == set(UNREAD)
    assert unread_kind(Path("a.png")) is None
