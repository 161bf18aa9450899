"""Every image is decoded once, few at a time; what fails is told with its reason, and what is no fault of it is not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from zsad.data import images, readings
from zsad.data.image_list import read_image_list
from zsad.data.images import image_size
from zsad.data.layouts.folder import FolderLayout
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.read_images import read_images, read_training
from zsad.data.readings import (
    NAMED,
    Reading,
    complaint,
    failed,
    read_all,
    read_unreadable,
    skipped_text,
    write_unreadable,
)
from zsad.errors import DataError, MemoryShortageError
from zsad.files.provenance import file_sha256

WritePng = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, write_png: WritePng) -> Path:
    """Three photographs, one turned, and two whose pixels are cut off behind a sound header."""
    folder = tmp_path / "parts"
    for seed, name in enumerate(("a.png", "c.png", "z, 1.png")):
        write_png(folder / name, size=(12, 16), seed=seed)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (30, 20)).save(folder / "turned.jpg", exif=turned)
    for name in ("b.png", "ö.png"):
        cut_off(write_png(folder / name, size=(12, 16), seed=9))
    return folder


def cut_off(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("threads", [1, 3])
def test_each_image_is_told_in_the_order_given(folder: Path, threads: int) -> None:
    paths = sorted(folder.iterdir())
    found = read_all(paths, threads)
    assert [reading.path for reading in found] == paths
    assert [reading.path.name for reading in failed(found)] == ["b.png", "ö.png"]
    for reading in found:
        if not reading.failure:
            assert (reading.height, reading.width) == image_size(reading.path)
            assert reading.sha256 == file_sha256(reading.path)


def test_no_more_images_are_in_memory_than_threads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, now, most = threading.Lock(), [0], [0]
    decode = images.decode

    def counted(*arguments: object) -> object:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        try:
            return decode(*arguments)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(images, "decode", counted)
    read_all(sorted(folder.iterdir()) * 5, threads=2)
    assert 1 <= most[0] <= 2


def test_an_image_that_goes_meanwhile_or_finds_no_memory_is_not_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_all([folder / "gone.png"])

    def greedy(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", greedy)
    with pytest.raises(MemoryShortageError, match="needs more memory than is available"):
        read_all([folder / "a.png"])


def test_the_list_of_what_is_left_out_is_read_as_it_was_written(tmp_path: Path) -> None:
    failures = [
        Reading(Path('a "b", c.png'), failure="it is cut off, so; replace it"),
        Reading(Path("ö.png"), failure="x"),
    ]
    write_unreadable(tmp_path / "list.csv", failures)
    assert read_unreadable(tmp_path / "list.csv") == {reading.path: reading.failure for reading in failures}
    (tmp_path / "other.csv").write_text("a,b\n")
    for name, sentence in (("other.csv", "is not a valid list of unreadable images"), ("none.csv", "does not exist")):
        with pytest.raises(DataError, match=sentence):
            read_unreadable(tmp_path / name)


def test_one_sentence_names_all_but_not_without_end() -> None:
    many = [Reading(Path(f"{index}.png"), failure=f"{index}.png is broken; fix it") for index in range(NAMED + 2)]
    said = complaint(many, "lid")
    assert said.startswith(f"{NAMED + 2} images of lid cannot be used: ")
    assert f"{NAMED - 1}.png is broken; and 2 more" in said
    assert "fix it" not in said
    assert complaint(many[:1], "lid") == "0.png is broken; fix it, or set dataset.unreadable to 'skip'"


def test_what_cannot_be_read_is_in_one_of_the_two_lists(folder: Path, tmp_path: Path) -> None:
    listed, unreadable = tmp_path / "images.csv", tmp_path / "unreadable.csv"
    read_images(FolderLayout(), folder, "parts", listed, unreadable, policy="skip", threads=2)
    assert [record.image_id for record in read_image_list(listed)] == ["a.png", "c.png", "turned.jpg", "z, 1.png"]
    assert [path.name for path in read_unreadable(unreadable)] == ["b.png", "ö.png"]
    text = skipped_text({"parts": unreadable, "later": tmp_path / "none.csv"})
    assert text == (f"2 images were left out, since they cannot be used; for the reasons see {unreadable.as_posix()}")


def test_training_images_are_listed_alike_whatever_the_test_images_are(tmp_path: Path, write_png: WritePng) -> None:
    root, alone = tmp_path / "set", tmp_path / "training.csv"
    for place in ("train/good/0", "train/good/1", "test/good/0"):
        write_png(root / f"tile/{place}.png", size=(12, 16))
    read_images(MvtecLayout(), root, "tile", tmp_path / "images.csv", tmp_path / "unreadable.csv")
    read_training(MvtecLayout(), root, "tile", alone)
    listed = read_image_list(tmp_path / "images.csv")
    assert read_image_list(alone) == [image for image in listed if image.split == "train"] != []

    before = alone.read_bytes()
    cut_off(root / "tile/test/good/0.png")
    read_training(MvtecLayout(), root, "tile", alone)
    assert alone.read_bytes() == before
    cut_off(root / "tile/train/good/0.png")
    with pytest.raises(DataError, match=r"^[^;]*tile/train/good/0\.png cannot be read as an image"):
        read_training(MvtecLayout(), root, "tile", alone)
    read_training(MvtecLayout(), root, "tile", alone, policy="skip", threads=2)
    assert [image.image_id for image in read_image_list(alone)] == ["train/good/1.png"]


def test_a_run_that_must_not_leave_out_any_stops_with_all_of_them_and_writes_nothing(
    folder: Path, tmp_path: Path
) -> None:
    listed, unreadable = tmp_path / "images.csv", tmp_path / "unreadable.csv"
    with pytest.raises(DataError, match=r"2 images of parts cannot be used: .*b\.png .*; .*ö\.png "):
        read_images(FolderLayout(), folder, "parts", listed, unreadable, policy="stop")
    assert not listed.exists()
    assert not unreadable.exists()


def test_nothing_is_said_of_a_run_that_left_out_none(folder: Path, tmp_path: Path, write_png: WritePng) -> None:
    write_png(tmp_path / "set/tile/test/good/0.png")
    listed, unreadable = tmp_path / "images.csv", tmp_path / "unreadable.csv"
    read_images(MvtecLayout(), tmp_path / "set", "tile", listed, unreadable)
    assert read_unreadable(unreadable) == {}
    assert skipped_text({"tile": unreadable}) == ""


def test_a_folder_leaves_out_what_all_others_stop_at() -> None:
    assert (FolderLayout.unreadable, MvtecLayout.unreadable) == ("skip", "stop")
    assert readings.STOP == "stop"


def test_no_path_in_the_list_is_a_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    paths = [Path(name) for name in ("=1+1/a.png", "-x/b.png", "@SUM(A1).png", "a;=1.png", "plain.png")]
    write_unreadable(tmp_path / "list.csv", [Reading(path, failure=f"{path} is truncated") for path in paths])
    assert read_unreadable(tmp_path / "list.csv") == {path: f"{path} is truncated" for path in paths}
    assert [line.rpartition(",")[0] for line in (tmp_path / "list.csv").read_text().splitlines()[1:]] == [
        "'=1+1/a.png,'=1+1/a.png is truncated",
        "'-x/b.png,'-x/b.png is truncated",
        "'@SUM(A1).png,'@SUM(A1).png is truncated",
        "a;'=1.png,a;'=1.png is truncated",
        "plain.png,plain.png is truncated",
    ]
