"""A folder of photographs as people have them is read: every oddity as what it is, and the damaged one named."""

from __future__ import annotations

from pathlib import Path

import pytest

from photographs import HEIC, LARGE, STRIP, TRUNCATED, write_photographs
from zsad.data.image_list import read_image_list
from zsad.data.images import read_image
from zsad.data.inspection import inspect_category
from zsad.data.layouts.folder import FolderLayout
from zsad.data.read_images import read_images
from zsad.data.readings import read_unreadable

SCALE = 0.1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pillow_heif")
    path = tmp_path_factory.mktemp("own") / "my photographs"
    write_photographs(path, scale=SCALE)
    return path


def test_all_but_the_damaged_one_are_listed_upright(folder: Path, tmp_path: Path) -> None:
    listed, unreadable = tmp_path / "images.csv", tmp_path / "unreadable.csv"
    read_images(FolderLayout(), folder, folder.name, listed, unreadable, policy="skip", threads=2)
    records = {record.image_id: record for record in read_image_list(listed)}
    assert len(records) == 35
    assert {HEIC, STRIP.name, "{3F2504E0-4F89-11D3}.png", "part {category} <b>/a{1}.jpg", "Prüfling Größe Ä.jpg"} < set(
        records
    )
    turned = records[LARGE[1].name]
    assert (turned.height, turned.width) == (400, 300)  # stored 400 wide and 300 high
    assert (records["turned/8.tif"].height, records["turned/5.png"].height) == (64, 32)
    for record in records.values():
        assert read_image(record.path, record.sha256, record.white).shape == (record.height, record.width, 3)
    ((path, reason),) = read_unreadable(unreadable).items()
    assert path == folder / TRUNCATED
    assert reason.startswith(f"{path} cannot be read as an image (")


def test_the_check_names_the_damaged_one_and_stops_for_nothing(folder: Path) -> None:
    inspection = inspect_category(FolderLayout(), folder, folder.name, full=True, policy="skip")
    assert inspection.problems == ()
    assert [left_out.image_id for left_out in inspection.unreadable] == [TRUNCATED]
    assert any(TRUNCATED in warning for warning in inspection.warnings)
