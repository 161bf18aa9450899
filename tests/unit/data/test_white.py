"""Which value is white in images of more than 8 bits: the whole range, or what the layout is told."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from paths import REPOSITORY
from zsad.data.image_list import COLUMNS, ListedImage, of_split, read_image_list, write_images
from zsad.data.images import read_image
from zsad.data.inspection import Inspection, inspect_category
from zsad.data.layouts.folder import FolderLayout
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.pixels import eight_bit_rgb
from zsad.data.read_images import read_images
from zsad.data.white import SAMPLED
from zsad.errors import ConfigError, DataError
from zsad.features.base import Execution
from zsad.features.embedded import Embedded
from zsad.features.extract_features import extract_features
from zsad.files.features import FeatureReader
from zsad.sharing.content_key import images_sha256

LOSSLESS = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
TWELVE = np.linspace(0, 4095, 12 * 16).round().astype(np.uint16).reshape(12, 16)
LEVELS = np.round(TWELVE.astype(float) / 4095 * 255)


def grey(levels: np.ndarray) -> np.ndarray:
    return np.repeat(levels[..., None], 3, axis=2)


def write(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, values, photometric="rgb" if values.ndim == 3 else "minisblack")
    else:
        path.write_bytes(
            cv2.imencode(path.suffix, values[..., ::-1] if values.ndim == 3 else values, LOSSLESS)[1].tobytes()
        )
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("is_colour", [False, True])
def test_values_of_12_bits_become_256_grey_levels(tmp_path: Path, name: str, is_colour: bool) -> None:
    values = grey(TWELVE) if is_colour else TWELVE
    path = write(tmp_path / name, values)
    np.testing.assert_array_equal(read_image(path, white=4095), grey(LEVELS))
    assert len(np.unique(read_image(path))) == 17  # without it


@pytest.mark.parametrize(
    ("values", "white"),
    [
        (TWELVE.astype(np.int16), 4095),
        (TWELVE.astype(np.int32), 4095),
        (TWELVE.astype(np.uint32) * 1000, 4_095_000),
        (TWELVE.astype(np.float32), 4095),
        (TWELVE.astype(np.float64) / 4095, 1.0),
        (TWELVE.astype(np.float32) / 4095 * 0.1, 0.1),
        (TWELVE.astype(">u2"), 4095),
    ],
)
def test_white_goes_for_every_type_of_more_than_8_bits(values: np.ndarray, white: float) -> None:
    np.testing.assert_array_equal(eight_bit_rgb(values, "a.tif", white), grey(LEVELS))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_what_is_brighter_than_white_is_white(dtype: type) -> None:
    values = np.array([[0, 500, 1000, 1001, 60_000]], dtype)
    assert eight_bit_rgb(values, "a.tif", 1000)[0, :, 0].tolist() == [0, 128, 255, 255, 255]


def test_images_of_8_bits_stay_as_they_are(tmp_path: Path) -> None:
    values = np.arange(192, dtype=np.uint8).reshape(12, 16)
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(read_image(write(tmp_path / name, values), white=4095), grey(values))


def test_jpeg_2000_says_itself_how_many_bits_it_has(tmp_path: Path) -> None:
    values, levels = (np.kron(small, np.ones((4, 4), small.dtype)) for small in (TWELVE, LEVELS))
    path = tmp_path / "a.jp2"
    path.write_bytes(jpeg_2000_of_12_bits(values))
    for white in (None, 4095, 60_000):
        np.testing.assert_array_equal(read_image(path, white=white), grey(levels))
    path = write(tmp_path / "b.jp2", values)  # of 16 bits, by its header
    np.testing.assert_array_equal(read_image(path, white=4095), grey(levels))
    path = write(tmp_path / "c.jp2", np.dstack([values, values[::-1], values[:, ::-1]]))
    expected = np.dstack([levels, levels[::-1], levels[:, ::-1]])
    np.testing.assert_array_equal(read_image(path, white=4095), expected)


def jpeg_2000_of_12_bits(values: np.ndarray) -> bytes:
    """The lossless wavelets of 16-bit values under a header of 12 bits, which differ in what grey is stored as 0."""
    shifted = (values.astype(int) + 2**15 - 2**11).astype(np.uint16)
    content = bytearray(cv2.imencode(".jp2", shifted, LOSSLESS)[1].tobytes())
    for place in (content.index(b"ihdr") + 14, content.index(b"\xff\x4f\xff\x51") + 42):
        assert content[place] == 16 - 1
        content[place] = 12 - 1
    return bytes(content)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.full((3, 4), -1, np.int16), r"has negative values \(from -1 to -1\); make them 0 or more"),
        (np.full((3, 4), -9, np.float32), r"has negative values \(from -9 to -9\)"),
        (np.full((3, 4), np.nan, np.float32), r"NaN or infinite"),
    ],
)
def test_what_white_cannot_scale_is_refused(values: np.ndarray, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        eight_bit_rgb(values, "a.tif", 4095)


def test_floats_of_no_clear_range_are_told_what_to_set() -> None:
    with pytest.raises(
        DataError, match=r"from 0 to 4095, which match none .*; set dataset\.params\.white to the value that"
    ):
        eight_bit_rgb(TWELVE.astype(np.float32), "a.tif")


# --- from the configuration to whoever reads images ---


def test_every_layout_takes_white() -> None:
    for name in LAYOUTS.names():
        assert LAYOUTS.build(name, {"white": 4095}).white == 4095
        assert LAYOUTS.build(name).white is None
        for wrong in (0, -1, "bright", float("nan"), float("inf")):
            with pytest.raises(ConfigError, match="white"):
                LAYOUTS.build(name, {"white": wrong})


def test_the_list_hands_white_on_and_is_as_it_was_without(tmp_path: Path) -> None:
    write(tmp_path / "in/a.png", TWELVE)
    for white, columns in ((None, COLUMNS), (4095, (*COLUMNS, "white"))):
        read_images(FolderLayout(white=white), tmp_path / "in", "in", tmp_path / "m.csv", tmp_path / "u.csv")
        assert (tmp_path / "m.csv").read_text().splitlines()[0] == ",".join([*columns, "digest"])
        (record,) = read_image_list(tmp_path / "m.csv")
        assert record.white == white
        assert len(np.unique(read_image(record.path, record.sha256, record.white))) == (17 if white is None else 192)
    write_images(tmp_path / "mixed.csv", [record, replace(record, image_id="b", white=None)])
    assert [each.white for each in of_split(read_image_list(tmp_path / "mixed.csv"), "test")] == [4095, None]


def test_a_shared_file_of_features_is_that_of_one_white() -> None:
    record = ListedImage("a.tif", "in/a.tif", "test", 12, 16, "ab" * 32)
    assert len({images_sha256([replace(record, white=white)]) for white in (None, 4095.0, 1023.0)}) == 3


def test_whoever_reads_an_listed_image_reads_it_with_its_white() -> None:
    """A stage that forgets it would see other pixels than the others, without any error."""
    readers = set()
    for path in (REPOSITORY / "zsad").rglob("*.py"):
        if path.parent.name == "layouts":  # it looks at a few files to tell masks from photographs
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "read_image":
                given = [keyword.value for keyword in node.keywords if keyword.arg == "white"]
                *_, last = given or node.args
                if path.name == "reading.py":  # it hands on what it is given
                    assert ast.unparse(last) == "white", f"{path}, line {node.lineno}"
                    continue
                assert isinstance(last, ast.Attribute), f"{path}, line {node.lineno}"
                assert last.attr.lstrip("_") == "white", f"{path}, line {node.lineno}"
                readers.add(path.parent.name)
    assert readers == {"features", "refinement", "reporting", "inspecting", "adaptation"}
    for stage in ("features/extract_features.py", "segmentation/embed_images.py"):
        text = (REPOSITORY / "zsad" / stage).read_text(encoding="utf-8")
        assert text.count("Source(") == text.count("record.white") == 1, stage


def test_features_are_those_of_the_image_as_white_makes_it(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (40, 48), dtype=np.uint16)
    write(tmp_path / "deep/a.tif", values)
    write(tmp_path / "plain/a.png", np.round(values / 4095 * 255).astype(np.uint8))
    tokens = {}
    for name, white in (("deep", 4095), ("plain", None)):
        read_images(FolderLayout(white=white), tmp_path / name, name, tmp_path / f"{name}.csv", tmp_path / "u.csv")
        extract_features(
            image_list=tmp_path / f"{name}.csv",
            category=name,
            subset="test",
            view="original",
            backbone=Embedded(resolution=32),
            execution=Execution(),
            output=tmp_path / f"{name}.h5",
            provenance={"stage": "extract_features", "params": {}},
        )
        with FeatureReader(tmp_path / f"{name}.h5") as reader:
            tokens[name] = reader.patch_tokens(0)
            assert reader.provenance.get("white") == white  # for whoever shows the backbone another photograph
    np.testing.assert_array_equal(tokens["deep"], tokens["plain"])


# --- what the check says ---


def inspected(folder: Path, white: float | None = None, *, full: bool = False) -> Inspection:
    inspection = inspect_category(FolderLayout(white=white), folder, folder.name, full=full)
    assert not inspection.problems
    return inspection


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("bits", "levels"), [(8, 2), (10, 5), (12, 17), (13, 33), (14, 65)])
@pytest.mark.parametrize("full", [False, True])
def test_a_range_that_is_hardly_used_is_noticed(
    tmp_path: Path, suffix: str, bits: int, levels: int, full: bool
) -> None:
    most = 2**bits - 3
    for index in range(5):
        write(tmp_path / "in" / f"{index}{suffix}", np.full((8, 9), most - index, np.uint16))
    write(tmp_path / "in/plain.png", np.full((8, 9), 200, np.uint8))
    (warning,) = inspected(tmp_path / "in", full=full).warnings
    assert warning == (
        f"no value is above {most} in the {(5 if full else SAMPLED)} decoded images of more than 8 bits per "
        f"channel, where white is 65535: they become {levels} of 256 grey levels; if white is "
        f"{2**bits - 1}, set dataset.params.white to it"
    )
    assert inspected(tmp_path / "in", 2**bits - 1, full=full).warnings == ()


@pytest.mark.parametrize(
    "values",
    [
        np.full((8, 9), 30_000, np.uint16),
        np.full((8, 9), 16_384, np.uint16),
        np.zeros((8, 9), np.uint16),  # all black: nothing can be told
        np.full((8, 9), 0.01, np.float32),
    ],
)
def test_a_range_that_is_used_is_not_spoken_of(tmp_path: Path, values: np.ndarray) -> None:
    write(tmp_path / "in/a.tif", values)
    assert inspected(tmp_path / "in", full=True).warnings == ()


def test_one_bright_image_tells_the_range_of_all(tmp_path: Path) -> None:
    for index, value in enumerate((900, 1000, 60_000, 1001)):
        write(tmp_path / "in" / f"{index}.tif", np.full((8, 9), value, np.uint16))
    assert inspected(tmp_path / "in", full=True).warnings == ()


def test_values_above_white_are_told(tmp_path: Path) -> None:
    for index, value in enumerate((4095, 4096, 5000)):
        write(tmp_path / "in" / f"{index}.png", np.full((8, 9), value, np.uint16))
    write(tmp_path / "in/float.tif", np.full((8, 9), 4095.5, np.float32))  # is rounded to white
    assert inspected(tmp_path / "in", 4095, full=True).warnings == (
        "1 image with values above dataset.params.white, 4095, which become white: 2.png",
    )


def test_a_white_that_goes_for_no_image_is_told(tmp_path: Path) -> None:
    write(tmp_path / "in/a.png", np.zeros((8, 9), np.uint8))
    (tmp_path / "in/b.jp2").write_bytes(jpeg_2000_of_12_bits(np.kron(TWELVE, np.ones((4, 4), np.uint16))))
    (warning,) = inspected(tmp_path / "in", 4095).warnings
    assert warning.startswith("dataset.params.white is set but applies to no image")
    assert inspected(tmp_path / "in").warnings == ()


def test_a_white_that_is_far_too_bright_is_noticed_too(tmp_path: Path) -> None:
    write(tmp_path / "in/a.png", np.full((8, 9), 1023, np.uint16))
    (warning,) = inspected(tmp_path / "in", 16383).warnings
    assert re.search("no value is above 1023 .* white is 16383: .* if white is 1023, set", warning)


def test_an_image_of_16_bits_that_is_cut_off_is_found_where_it_is_sampled(tmp_path: Path) -> None:
    path = write(tmp_path / "in/a.png", np.random.default_rng(0).integers(0, 65535, (40, 40), dtype=np.uint16))
    path.write_bytes(path.read_bytes()[:-500])
    (problem,) = inspect_category(FolderLayout(), tmp_path / "in", "in").problems
    assert "a.png cannot be read as an image" in problem
