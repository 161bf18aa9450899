"""Tables of a category that were changed by hand are put aside, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zsad.adaptation.origins import read_origins, write_origins
from zsad.classification.splits import SplitRow, read_split, write_split
from zsad.data.changed import TABLES, changed_tables, changed_text, put_aside
from zsad.data.image_list import ListedImage, write_images
from zsad.data.kinds import write_kinds
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.data.readings import Reading, write_unreadable
from zsad.errors import DataError

READERS = {**TABLES, "splits/*.csv": read_split, "synthetic/*/made_from.csv": read_origins}
MADE = "synthetic/synthetic-all-seed0-n3-c"
NAMES = (
    *("images.csv", "training.csv", "manifest.csv", "unreadable.csv"),
    *("labelled/known.csv", "labelled/known.kinds.csv", "splits/nearest.csv"),
    *(f"{MADE}/images.csv", f"{MADE}/manifest.csv", f"{MADE}/made_from.csv"),
)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    for name in ("lid", "nut"):
        (tmp_path / name).mkdir()
        images = [ListedImage(f"{index}.png", f"{index}.png", "test", 8, 9, "ab" * 32) for index in range(3)]
        write_images(tmp_path / name / "images.csv", images)
        write_images(tmp_path / name / "training.csv", images)
        known = {"label": 0, "defect_type": "good", "mask_path": ""}
        write_manifest(tmp_path / name / "manifest.csv", [ImageRecord(**vars(image), **known) for image in images])
        write_unreadable(tmp_path / name / "unreadable.csv", [Reading(Path("x.png"), failure="cut off")])
        (tmp_path / name / "labelled").mkdir()
        write_images(tmp_path / name / "labelled/known.csv", images)
        write_kinds(tmp_path / name / "labelled/known.kinds.csv", {image.image_id: "dent" for image in images})
        (tmp_path / name / MADE).mkdir(parents=True)
        write_images(tmp_path / name / MADE / "images.csv", images)
        write_manifest(
            tmp_path / name / MADE / "manifest.csv", [ImageRecord(**vars(image), **known) for image in images]
        )
        write_origins(tmp_path / name / MADE / "made_from.csv", {image.image_id: ("a.png",) for image in images})
        (tmp_path / name / "splits").mkdir()
        write_split(
            tmp_path / name / "splits/nearest.csv",
            [
                SplitRow(0, "test", image.image_id, "support", 1 + rank, "dent", "ab" * 32)
                for rank, image in enumerate(images)
            ],
        )
    return [tmp_path / "lid", tmp_path / "nut", tmp_path / "not made yet"]


def test_what_nobody_changed_stays(folders: list[Path]) -> None:
    assert changed_tables(folders, READERS) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"path,reason\nx.png,\n", b"\x89HDF\r\n\x1a\n", b"image_id\n", None])
def test_what_was_changed_is_renamed_and_told_of_in_one_sentence(
    folders: list[Path], name: str, content: bytes | None
) -> None:
    path = folders[0] / name
    path.write_bytes(path.read_bytes().replace(b",", b";") if content is None else content)
    written = path.read_bytes()
    assert changed_tables(folders, READERS) == [path]
    put_aside([path])
    assert not path.exists()
    assert path.with_stem(f"{path.stem}.changed").read_bytes() == written
    assert changed_tables(folders, READERS) == []
    assert changed_text([path]).startswith(f"{path} was changed after it was made, and is put aside")


def test_two_are_told_of_together(folders: list[Path]) -> None:
    for folder in folders[:2]:
        (folder / "manifest.csv").write_text("label\n")
    said = changed_text(changed_tables(folders, READERS))
    assert said.startswith(f"{folders[0]}/manifest.csv, {folders[1]}/manifest.csv were changed after they were made")
    assert "\n" not in said


def test_what_cannot_be_renamed_is_a_sentence(folders: list[Path]) -> None:
    (folders[0] / "images.changed.csv").mkdir()
    with pytest.raises(
        DataError, match=r"images\.csv was changed after it was made and cannot be renamed \(.*; delete"
    ):
        put_aside([folders[0] / "images.csv"])


def test_what_is_no_file_is_put_aside_unopened(folders: list[Path]) -> None:
    for name, make in (("images.csv", os.mkfifo), ("manifest.csv", os.mkdir)):
        (folders[0] / name).unlink()
        make(folders[0] / name)
    (folders[1] / "manifest.csv").unlink()
    (folders[1] / "manifest.csv").symlink_to("nowhere")
    found = changed_tables(folders, READERS)
    assert [path.name for path in found] == ["images.csv", "manifest.csv", "manifest.csv"]
    put_aside(found)
    assert changed_tables(folders, READERS) == []
