"""Photographs and masks as people have them are read into one form."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zsad.data.images import image_size, read_image, read_mask
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
    with pytest.raises(DataError, match="has changed since the manifest was made"):
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


def test_floating_point_pixels_are_refused_since_their_range_is_unknown(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(DataError, match="floating-point"):
        read_image(tmp_path / "float.tif")


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
