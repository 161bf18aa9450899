"""Masks as people have them become the pixels that are defective."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from zsad.data.masks import read_mask
from zsad.errors import DataError

SQUARE = np.zeros((16, 24), bool)
SQUARE[3:9, 5:14] = True


def saved(pixels: np.ndarray, mode: str | None = None, **options: object) -> Callable[[Path], None]:
    image = Image.fromarray(pixels)
    return lambda path: (image if mode is None else image.convert(mode)).save(path, **options)


def with_palette(colours: list[int]) -> Callable[[Path], None]:
    image = Image.fromarray(SQUARE.astype(np.uint8), "P")
    image.putpalette(colours)
    return image.save


KINDS = {
    "0 and 1.png": saved(SQUARE.astype(np.uint8)),
    "0 and 255.png": saved(SQUARE * np.uint8(255)),
    "one bit.png": saved(SQUARE),
    "16 bit.png": saved(SQUARE.astype(np.uint16)),
    "float.tif": saved(SQUARE.astype(np.float32)),
    "palette.png": with_palette([0, 0, 0, 200, 0, 0]),
    "grey with alpha.png": saved(np.dstack([SQUARE * np.uint8(9), np.full(SQUARE.shape, 255, np.uint8)])),
    "red.png": saved(np.dstack([SQUARE * np.uint8(200), *[np.zeros(SQUARE.shape, np.uint8)] * 2])),
    "16 bit colour.png": lambda path: path.write_bytes(cv2.imencode(".png", np.dstack([SQUARE] * 3) * np.uint16(1))[1]),
    "transparent around it.png": saved(np.dstack([np.full((*SQUARE.shape, 3), 255, np.uint8), SQUARE * np.uint8(255)])),
    "transparent colour.png": saved(np.where(SQUARE, 200, 90).astype(np.uint8), transparency=90),
    "lossless.webp": saved(np.dstack([SQUARE * np.uint8(1)] * 3), lossless=True),
    "lossy.webp": saved(np.dstack([SQUARE * np.uint8(255)] * 3), quality=90),
    "lossy.tif": saved(SQUARE * np.uint8(255), compression="jpeg"),
    "lossy.jpg": saved(SQUARE * np.uint8(255), quality=60),
    "lossy colour.jpg": saved(SQUARE * np.uint8(255), "RGB", quality=60),
    "in truth a JPEG.png": saved(SQUARE * np.uint8(255), format="JPEG", quality=60),
}


@pytest.mark.parametrize("name", KINDS)
def test_masks_of_every_kind_mark_the_same_pixels(tmp_path: Path, name: str) -> None:
    KINDS[name](tmp_path / name)
    np.testing.assert_array_equal(read_mask(tmp_path / name, *SQUARE.shape), SQUARE)


def test_a_palette_is_looked_up_so_that_black_is_good_whatever_its_index(tmp_path: Path) -> None:
    with_palette([255, 255, 255, 0, 0, 0])(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", *SQUARE.shape), ~SQUARE)


def test_a_mask_is_turned_as_its_image_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    saved(SQUARE * np.uint8(255), exif=exif)(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", 24, 16), np.rot90(SQUARE, -1))


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("gone.png", lambda path: None, r"gone\.png does not exist"),
        ("page.png", lambda path: path.write_text("<html>"), r"page\.png cannot be read as an image"),
        (
            "nan.tif",
            saved(np.full((4, 5), np.nan, np.float32)),
            r"nan\.tif has pixels that are not a number; set them to",
        ),
        (
            "link.png",
            lambda path: path.symlink_to("gone.png"),
            r"link\.png is a link to gone\.png, which does not exist",
        ),
        ("folder", Path.mkdir, r"the mask folder .*folder contains no images; put the masks there, or delete it"),
    ],
)
def test_what_is_no_mask_is_said_in_one_sentence(
    tmp_path: Path, name: str, make: Callable[[Path], object], sentence: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(DataError, match=sentence):
        read_mask(tmp_path / name, 4, 5)


@pytest.mark.parametrize("value", [1, 128, 255])
def test_any_non_zero_mask_pixel_is_defective(tmp_path: Path, write_png: Callable[..., Path], value: int) -> None:
    expected = np.eye(4, 5, dtype=bool)
    write_png(tmp_path / "mask.png", (expected * value).astype(np.uint8))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 4, 5), expected)


def test_the_alpha_channel_of_a_mask_is_no_defect(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    rgba = np.zeros((4, 5, 4), np.uint8)
    rgba[..., 3] = 255
    rgba[1, 2, 0] = 255
    write_png(tmp_path / "mask.png", rgba)
    assert np.argwhere(read_mask(tmp_path / "mask.png", 4, 5)).tolist() == [[1, 2]]


def test_a_folder_of_masks_is_their_union(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    first, second = np.zeros((2, 4, 5), np.uint8)
    first[0, 0] = second[3, 4] = 255
    write_png(tmp_path / "000" / "000.png", first)
    write_png(tmp_path / "000" / "001.png", second)
    assert np.argwhere(read_mask(tmp_path / "000", 4, 5)).tolist() == [[0, 0], [3, 4]]


def test_a_mask_of_another_size_is_an_error_with_both_sizes(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    write_png(tmp_path / "mask.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(DataError, match="5 x 4 pixels but its image is 5 x 8"):
        read_mask(tmp_path / "mask.png", 8, 5)
