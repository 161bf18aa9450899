"""Which photographs are meant by files, folders, lines of standard input, and folders that are watched."""

from __future__ import annotations

import math
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from zsad.data.images import read_image
from zsad.data.layouts.folder import FolderLayout
from zsad.errors import ConfigError, DataError
from zsad.inspecting import watching
from zsad.inspecting.inspection import Failure, Inspection
from zsad.inspecting.photographs import paths_on, photographs_below, photographs_of
from zsad.inspecting.reading import pixels_of, read_ahead
from zsad.inspecting.stopping import Stopping
from zsad.inspecting.watching import PATIENCE, FolderWatch

NAMES = ("b 1.PNG", "a/Prüfling Ä.JPG", "a/{x}.jpg", "part [1] 100 %.Tif", "z/y/-n.png", "camera.x.webp")


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_png: Callable[..., Path]) -> Path:
    """A folder of photographs under messy names, with what is none beside them."""
    folder = tmp_path / "line {2}"
    source = write_png(tmp_path / "source.png")
    for name in (*NAMES, ".hidden.png", "a/.thumbs/1.png", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_folder_holds_what_the_layout_of_folders_finds(photographs: Path) -> None:
    found = photographs_of([str(photographs)])
    assert found == [item.path for item in FolderLayout().items(photographs, "")]
    assert found == [photographs / name for name in sorted(NAMES)]


def test_each_photograph_is_named_once_in_the_order_of_words(photographs: Path) -> None:
    last = str(photographs / "z/y/-n.png")
    found = photographs_of([last, str(photographs), last, "source.png"])
    assert found[0] == Path(last)
    assert found[-1] == Path("source.png")
    assert len(found) == len(set(found)) == len(NAMES) + 1


def test_a_word_that_names_nothing_is_told_and_the_rest_is_found(photographs: Path) -> None:
    missing, there = photographs_of(["nowhere.png", "source.png"])
    assert isinstance(missing, Failure)
    assert str(missing.error) == "nowhere.png does not exist; correct the path"
    assert there == Path("source.png")


def test_results_in_the_folder_are_no_photographs(photographs: Path, write_png: Callable[..., Path]) -> None:
    write_png(photographs / "out" / "overlays" / "1.png")
    assert len(photographs_of([str(photographs)])) == len(NAMES) + 1
    assert len(photographs_of([str(photographs)], photographs / "out")) == len(NAMES)
    assert len(photographs_of([str(photographs)], photographs.parent)) == len(NAMES) + 1
    with pytest.raises(ConfigError, match="is the folder of the photographs"):
        photographs_of([str(photographs)], photographs / "a" / "..")


def test_an_empty_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty/deep").mkdir(parents=True)
    (tmp_path / "empty/notes.txt").write_text("none")
    with pytest.raises(DataError, match="empty and its subfolders contain no photograph"):
        photographs_of([str(tmp_path / "empty")])


def test_lines_are_paths_however_they_end_and_whatever_they_hold() -> None:
    lines = "a b.png \nÄ{x}.JPG\r\n\n\n-\n/x/c.png".encode() + b"\nraw\xff.png\n"
    names = ["a b.png ", "Ä{x}.JPG", "-", "/x/c.png", os.fsdecode(b"raw\xff.png")]
    assert list(paths_on(BytesIO(lines))) == list(map(Path, names))


def test_a_line_is_handed_on_before_the_next_one_comes() -> None:
    ends = os.pipe()
    with os.fdopen(ends[0], "rb") as reading, os.fdopen(ends[1], "wb", buffering=0) as writing:
        found = paths_on(reading)
        for name in ("a.png", "b.png"):
            writing.write(f"{name}\n".encode())
            assert next(found) == Path(name)


# ---- pixels ----


def test_an_array_is_read_as_a_file_of_it_is(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    deep = np.random.default_rng(1).integers(0, 4096, (8, 9)).astype(np.uint16)
    for name, pixels, white in (("c", colour, None), ("g", colour[..., 0], None), ("d", deep, None), ("w", deep, 4095)):
        path = write_png(tmp_path / f"{name}.png", pixels)
        np.testing.assert_array_equal(pixels_of(pixels, white), read_image(path, white=white))
        np.testing.assert_array_equal(pixels_of(path, white), read_image(path, white=white))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 4), bool),
        np.zeros(5, np.uint8),
        np.array(["a.png"]),
        None,
        b"a.png",
    ],
)
def test_what_is_no_photograph_is_one_sentence(image: object) -> None:
    with pytest.raises(DataError, match=r"give (uint8 or uint16 values|one of these)"):
        pixels_of(image, None)


def test_reading_ahead_keeps_the_order_and_reads_few_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zsad.inspecting.reading.cores", lambda: 2)
    begun: list[int] = []

    def read(item: int) -> int:
        begun.append(item)
        return item * item

    results = read_ahead(iter(range(50)), read)
    assert next(results) == 0
    assert len(begun) <= 6
    assert list(results) == [item * item for item in range(1, 50)]


# ---- watching ----


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def readable(paths: Iterable[Path]) -> Iterator[Inspection | Failure]:
    """An inspection of what can be read, a failure of what cannot."""
    for path in paths:
        try:
            pixels = read_image(path)
        except DataError as error:
            yield Failure(path, error)
            continue
        size = pixels.shape[:2]
        numbers = {"score": 1.0, "peak": 1.0, "threshold": 0.5, "pixel_threshold": 0.5, "p_value": math.nan}
        shown = {"anomaly_map": np.ones(size), "mask": np.ones(size, bool), "regions": []}
        yield Inspection(path, decision=True, threshold_from="given", false_alarms=math.nan, **numbers, **shown)


def looked(watch: FolderWatch, clock: Clock, seconds: float = 1.0) -> list[tuple[str, bool]]:
    """What is answered after a look: names, and whether they could be read."""
    said = [each for each in readable(watch.ready()) if watch.counts(each)]
    clock.now += seconds
    return [(each.path.name, isinstance(each, Inspection)) for each in said]


def test_a_photograph_is_inspected_once_it_no_longer_grows(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    clock = Clock()
    content = write_png(tmp_path / "source.png").read_bytes()
    folder = tmp_path / "line"
    folder.mkdir()
    watch = FolderWatch([folder], clock=clock)
    assert looked(watch, clock) == []
    growing = folder / "a.png"
    for end in range(100, len(content), 200):
        growing.write_bytes(content[:end])
        assert looked(watch, clock) == []
    growing.write_bytes(content)
    assert looked(watch, clock) == []
    assert looked(watch, clock) == [("a.png", True)]
    assert looked(watch, clock) == []


def test_a_writer_that_pauses_is_waited_for_but_not_for_ever(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    clock = Clock()
    content = write_png(tmp_path / "source.png").read_bytes()
    folder = tmp_path / "line"
    folder.mkdir()
    (folder / "a.png").write_bytes(content[:300])
    watch = FolderWatch([folder], clock=clock)
    assert [looked(watch, clock) for _ in range(3)] == [[], [], []]
    (folder / "a.png").write_bytes(content)
    assert [looked(watch, clock) for _ in range(2)] == [[], [("a.png", True)]]
    (folder / "b.png").write_bytes(content[:300])
    answers = [answer for _ in range(round(PATIENCE) + 5) for answer in looked(watch, clock)]
    assert answers == [("b.png", False)]


def test_a_photograph_that_is_replaced_is_inspected_again(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    clock, path = Clock(), write_png(tmp_path / "line" / "latest.PNG")
    watch = FolderWatch([tmp_path / "line"], clock=clock)
    assert [looked(watch, clock) for _ in range(3)] == [[], [("latest.PNG", True)], []]
    write_png(tmp_path / "new.png", size=(20, 20), seed=1).replace(path)
    assert [looked(watch, clock) for _ in range(3)] == [[], [("latest.PNG", True)], []]
    path.unlink()
    assert looked(watch, clock) == []


def test_results_in_a_folder_that_is_watched_are_left_alone(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    write_png(tmp_path / "out" / "overlays" / "a.png")
    watch = FolderWatch([tmp_path], tmp_path / "out", Clock())
    assert [watch.ready() for _ in range(3)] == [[], [], []]


@pytest.mark.parametrize(("name", "said"), [("nowhere", "does not exist"), ("a.png", "is not a folder")])
def test_only_a_folder_can_be_watched(tmp_path: Path, write_png: Callable[..., Path], name: str, said: str) -> None:
    write_png(tmp_path / "a.png")
    with pytest.raises(DataError, match=f"{name} {said}; --watch needs a folder"):
        FolderWatch([tmp_path / name])


def test_watching_ends_when_it_is_asked_to(
    tmp_path: Path, write_png: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "INTERVAL", 0.01)
    write_png(tmp_path / "a.png")
    stopping = Stopping()
    said = FolderWatch([tmp_path]).inspected(readable, stopping)
    assert next(said).path == tmp_path / "a.png"
    write_png(tmp_path / "b.png", seed=1)
    assert next(said).path == tmp_path / "b.png"
    threading.Timer(0.05, stopping.ask).start()
    assert list(said) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_for_lines_ends_at_a_signal_and_what_is_being_done_is_finished(number: signal.Signals) -> None:
    ends = os.pipe()
    stopping, before = Stopping(), signal.getsignal(number)
    with os.fdopen(ends[0], "rb") as reading, os.fdopen(ends[1], "wb", buffering=0) as writing:
        writing.write(b"a.png\nb.png\n")
        with stopping.listening():
            threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
            assert list(stopping.until_asked(paths_on(reading))) == [Path("a.png"), Path("b.png")]
            assert signal.getsignal(number) == before  # the second time it ends the process
    stopping = Stopping()
    with stopping.listening():
        items = stopping.until_asked(iter(range(9)))
        assert next(items) == 0
        os.kill(os.getpid(), number)
        assert list(items) == []
    assert signal.getsignal(number) == before


def test_photographs_below_a_folder_that_has_gone_are_none(tmp_path: Path) -> None:
    assert photographs_below(tmp_path / "gone") == []
