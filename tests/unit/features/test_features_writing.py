"""Features written by a thread: all of them, and no failure goes unnoticed."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from zsad.errors import DataError
from zsad.features.base import Tokens
from zsad.features.writing import BackgroundWriter, Batch
from zsad.files.features import FeatureReader, FeatureWriter


def open_writer(path: Path, count: int) -> FeatureWriter:
    return FeatureWriter(
        path,
        [f"test/{index}.png" for index in range(count)],
        {},
        layers=["0"],
        channels=2,
        grid_sizes=np.tile([1, 3], (count, 1)),
        cls_source="class token",
    )


def tokens(value: float, images: int = 1) -> Tokens:
    return Tokens(np.full((images, 1, 1, 3, 2), value, np.float32), np.full((images, 1, 2), value, np.float32))


def test_batches_are_stored_under_their_indices(tmp_path: Path) -> None:
    with open_writer(tmp_path / "f.h5", 3) as writer, BackgroundWriter(writer) as background:
        background.put(Batch([2], lambda: tokens(7)))
        background.put(Batch([0, 1], lambda: tokens(5, images=2)))
    with FeatureReader(tmp_path / "f.h5") as reader:
        assert [float(reader.patch_tokens(index).mean()) for index in range(3)] == [5, 5, 7]
        assert reader.cls_tokens()[:, 0, 0].tolist() == [5, 5, 7]


def test_the_network_need_not_wait_for_the_disk(tmp_path: Path) -> None:
    disk = threading.Event()

    def slowly() -> Tokens:
        assert disk.wait(30)
        return tokens(1)

    with open_writer(tmp_path / "f.h5", 3) as writer, BackgroundWriter(writer) as background:
        for index in range(3):  # one in the thread's hands, two in the queue
            background.put(Batch([index], slowly))
        disk.set()
    with FeatureReader(tmp_path / "f.h5") as reader:
        assert len(reader) == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_tokens_that_are_not_finite_end_the_stage_and_leave_no_file(tmp_path: Path, bad: float) -> None:
    def write_forty() -> None:
        with open_writer(tmp_path / "f.h5", 40) as writer, BackgroundWriter(writer) as background:
            for index in range(40):
                background.put(Batch([index], lambda index=index: tokens(bad if index == 1 else 0)))

    with pytest.raises(DataError, match=r"features of test/1\.png are not finite .* use dtype float32"):
        write_forty()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_the_last_batch_is_raised_at_the_end(tmp_path: Path) -> None:
    def lost() -> Tokens:
        raise RuntimeError("the device is gone")

    with (
        pytest.raises(RuntimeError, match="the device is gone"),
        open_writer(tmp_path / "f.h5", 1) as writer,
        BackgroundWriter(writer) as background,
    ):
        background.put(Batch([0], lost))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_the_network_is_not_hidden_by_the_thread(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with open_writer(tmp_path / "f.h5", 2) as writer, BackgroundWriter(writer) as background:
            background.put(Batch([0], lambda: tokens(np.nan)))
            raise ValueError("network")

    with pytest.raises(ValueError, match="network"):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []
