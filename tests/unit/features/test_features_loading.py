"""Images read ahead in other processes: in order, whole, and with the same sentence when one is bad."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from zsad.data.images import read_image
from zsad.errors import DataError
from zsad.features.geometry import resized_to_grid
from zsad.features.loading import AHEAD, Loader, Source, prepared_variants
from zsad.files.provenance import file_sha256

PREPARE = partial(resized_to_grid, resolution=16, patch=8)


@pytest.fixture
def sources(tmp_path: Path, write_png: Callable[..., Path]) -> list[Source]:
    paths = [write_png(tmp_path / f"{seed}.png", size=(20 + seed, 30), seed=seed) for seed in range(9)]
    return [Source(str(path), file_sha256(path), "original", index) for index, path in enumerate(paths)]


@pytest.mark.parametrize("in_turns", [True, False])
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_images_come_in_order_whoever_reads_them(sources: list[Source], workers: int, in_turns: bool) -> None:
    with Loader(workers, in_turns=in_turns) as loader:
        images = dict(loader.prepared(sources, PREPARE))
    assert list(images) == list(range(9))
    for source in sources:
        np.testing.assert_array_equal(images[source.first], PREPARE(read_image(source.path)))


def test_a_view_of_several_images_gives_all_of_them(sources: list[Source]) -> None:
    turned = [source._replace(view="rotations", first=8 * source.first) for source in sources[:2]]
    with Loader(1) as loader:
        images = dict(loader.prepared(turned, PREPARE))
    assert list(images) == list(range(16))
    np.testing.assert_array_equal(images[8], prepared_variants(sources[1], PREPARE)[0])
    assert not np.array_equal(images[8], images[9])


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_wrong_with_an_image_is_said_as_in_this_process(sources: list[Source], workers: int) -> None:
    Path(sources[4].path).write_bytes(b"no image")
    with Loader(workers) as loader:
        images = loader.prepared(sources, PREPARE)
        assert [next(images)[0] for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(DataError, match=r"4\.png has changed since it was listed"):
            next(images)


def killed(image: np.ndarray) -> np.ndarray:
    os.kill(os.getpid(), signal.SIGKILL)
    return image


def test_a_killed_worker_is_a_sentence(sources: list[Source]) -> None:
    with Loader(1) as loader, pytest.raises(DataError, match=r"a process that reads images was killed.*more memory"):
        list(loader.prepared(sources, killed))


def noted(image: np.ndarray, folder: Path) -> np.ndarray:
    folder.joinpath(f"{image.shape[0]}").touch()
    return image


def test_workers_run_only_a_little_ahead(sources: list[Source], tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    with Loader(1) as loader:
        images = loader.prepared(sources, partial(noted, folder=seen))
        next(images)
        next(images)
        assert len(list(seen.iterdir())) <= AHEAD + 2
        images.close()


PROGRAM = """
import sys, time
from zsad.features.loading import Loader
print("started", flush=True)
with Loader(2) as loader:
    print(*(process.pid for process in loader._executor._processes.values()), flush=True)
    time.sleep(60)
"""


def test_workers_neither_run_the_main_script_again_nor_outlive_a_killed_job(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PROGRAM)  # without a guard, as Snakemake's scripts are
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "started\n"
        workers = [int(pid) for pid in job.stdout.readline().split()]
        assert len(workers) == 2
        job.kill()
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        assert job.stdout.read() == ""
