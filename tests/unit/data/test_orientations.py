"""Images and masks are upright, once, whatever their format, depth and orientation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orientations import KINDS, SIDES, XMP, Kind, exif, seen, tiff
from zsad.data import tiff_header
from zsad.data.images import image_header, image_size, read_image
from zsad.data.inspection import inspect_category
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.masks import read_mask
from zsad.errors import DataError

STORED = np.full((32, 48, 3), 40, np.uint8)  # no two turns of it look the same
STORED[:16, :24] = (230, 30, 60)
STORED[:16, 24:] = (30, 200, 90)
STORED[16:, 24:32] = (250, 250, 250)
DEFECT = np.zeros((32, 48), bool)
DEFECT[:16, 8:40] = True
DEFECT[16:24, 32:40] = True


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param.startswith("HEIC"):
        pytest.importorskip("pillow_heif", reason="HEIC is read where pillow-heif is installed")
    return KINDS[request.param]


def test_an_image_is_upright_whatever_its_format_depth_and_orientation(kind: Kind, tmp_path: Path) -> None:
    for orientation in SIDES:
        path = tmp_path / f"{orientation}{kind.suffix}"
        path.write_bytes(kind.write(STORED, orientation))
        expected = seen(kind.shown(STORED), orientation)
        assert image_size(path) == expected.shape[:2], orientation
        pixels = read_image(path)
        assert pixels.shape == expected.shape, orientation
        far_off = np.abs(pixels.astype(int) - expected) > kind.tolerance
        assert far_off.mean() <= (0.1 if kind.tolerance else 0), orientation  # compression blurs edges


def test_a_mask_is_in_the_frame_of_the_image_that_it_was_made_from(kind: Kind, tmp_path: Path) -> None:
    for orientation in SIDES:
        path = tmp_path / f"{orientation}{kind.suffix}"
        path.write_bytes(kind.write(np.repeat(DEFECT[..., None] * np.uint8(255), 3, axis=2), orientation))
        expected = seen(DEFECT, orientation)
        np.testing.assert_array_equal(read_mask(path, *expected.shape), expected, f"orientation {orientation}")


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_unturned_pixels_is_said_to_be_turned(orientation: int, tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(KINDS["JPEG"].write(STORED, orientation))
    (tmp_path / "mask.png").write_bytes(KINDS["PNG grey"].write(STORED, 1))
    with pytest.raises(
        DataError, match=r"mask\.png is 48 x 32 pixels but its image is 32 x 48; one of the two is turned"
    ):
        read_mask(tmp_path / "mask.png", *image_size(tmp_path / "image.jpg"))


@pytest.mark.parametrize("name", ["JPEG", "TIFF 16 bit colour, plain", "TIFF 8 bit grey, tiles", "PNG, 16 bit", "WebP"])
@pytest.mark.parametrize("value", [0, 9, 255])
def test_an_orientation_that_there_is_not_leaves_the_pixels_as_they_are(name: str, value: int, tmp_path: Path) -> None:
    kind = KINDS[name]
    path = tmp_path / f"a{kind.suffix}"
    path.write_bytes(kind.write(STORED, value))
    assert image_size(path) == read_image(path).shape[:2] == STORED.shape[:2]
    assert image_header(path).orientation == 1
    assert np.median(np.abs(read_image(path).astype(int) - kind.shown(STORED))) <= kind.tolerance


@pytest.mark.parametrize("layout", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"bigtiff": True, "byteorder": ">"}])
def test_nothing_but_the_orientation_of_a_tiff_is_changed_before_it_is_decoded(layout: dict[str, object]) -> None:
    write = tiff(lambda pixels: pixels, photometric="rgb", **layout)
    assert tiff_header.without_orientation(write(STORED, 6)) == write(STORED, 1)
    assert tiff_header.without_orientation(write(STORED, 1)) == write(STORED, 1)


def test_the_orientation_that_exif_repeats_in_a_heic_turns_nothing(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    content = KINDS["HEIC"].write(STORED, 1)
    turned = KINDS["HEIC"].write(STORED, 6)
    tag = exif(6)[6:]
    assert tag not in content
    (tmp_path / "a.heic").write_bytes(turned)
    assert pillow_heif.open_heif(tmp_path / "a.heic").size == (32, 48)
    assert image_size(tmp_path / "a.heic") == read_image(tmp_path / "a.heic").shape[:2] == (48, 32)
    # Without the container's own turn (its property is given another name), what EXIF says does not count.
    (tmp_path / "exif.heic").write_bytes(turned.replace(b"irot", b"free"))
    assert image_size(tmp_path / "exif.heic") == read_image(tmp_path / "exif.heic").shape[:2] == (32, 48)


def test_exif_goes_before_xmp(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(STORED).save(path, exif=exif(1), xmp=XMP.format(6).encode())
    assert image_size(path) == read_image(path).shape[:2] == (32, 48)


@pytest.mark.parametrize("orientation", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("is_tagged", [False, True])
@pytest.mark.parametrize("is_united", [False, True])
def test_the_check_says_where_a_mask_lacks_the_orientation_of_its_image(
    tmp_path: Path, orientation: int, is_tagged: bool, is_united: bool
) -> None:
    square = STORED[:, :32]  # so that the size of a turned one tells nothing
    tile = tmp_path / "tile"
    mask = tile / ("ground_truth/crack/0/0.png" if is_united else "ground_truth/crack/0.png")
    for path, kind, tag in (
        (tile / "test/crack/0.tif", "TIFF 16 bit colour, plain", orientation),
        (tile / "test/crack/1.tif", "TIFF 16 bit colour, plain", 1),
        (tile / "ground_truth/crack/1.png", "PNG grey", 1),
        (mask, "PNG grey", orientation if is_tagged else 1),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(KINDS[kind].write(square if kind.startswith("TIFF") else square * (square > 100), tag))
    inspection = inspect_category(MvtecLayout(), tmp_path, "tile")
    assert not inspection.problems
    said = (
        "1 image turned or mirrored by an orientation tag that the mask does not have, so that the mask "
        "is assumed to be upright: test/crack/0.tif"
    )
    assert (said in inspection.warnings) is not is_tagged
