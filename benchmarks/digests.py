"""Measure the cost of checking the digests of a feature file while it is read.

    python benchmarks/digests.py                    # 1 GB, 21 turns
    python benchmarks/digests.py --gigabytes 0.2 --turns 5

checked    `FeatureReader`
unchecked  the same without the comparison of checksums
plain      only HDF5, without digests: the same selections from `h5py.File`

Each reads the file in two ways: ``stored`` as it is stored, and ``unit`` as scorers use it, as unit vectors in float32
with one thread of torch. The readings take turns, on a file that is cached in memory, and are measured in processor
seconds. For ``from the disk`` the file is removed from the cache before; there wall-clock seconds count, which vary too
much to show the checks, so that the time of the checks is printed separately. Tokens are those of a ViT-B/14 at 518 px:
37 x 37 patches of 768 channels. The first line is the time to write the file, and the share of the digests.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
import torch

from zsad.files.digests import CheckedFile, append_digests
from zsad.files.features import FeatureReader, FeatureWriter
from zsad.scoring.tokens import normalise

SIDE, CHANNELS = 37, 768
IMAGE_BYTES = SIDE * SIDE * CHANNELS * 2


def write(path: Path, images: int) -> None:
    """A file of random tokens."""
    tokens = np.random.default_rng(0).standard_normal((1, SIDE, SIDE, CHANNELS)).astype(np.float16)
    with FeatureWriter(
        path,
        [str(index) for index in range(images)],
        {},
        layers=["11"],
        channels=CHANNELS,
        grid_sizes=np.full((images, 2), SIDE),
        cls_source="class token",
    ) as writer:
        for index in range(images):
            writer.write(index, tokens, np.zeros((1, CHANNELS)))


def unit(tokens: np.ndarray) -> None:
    """Normalise the tokens of an image as scorers do."""
    normalise(torch.from_numpy(tokens).float())


def stored(tokens: np.ndarray) -> None:
    """Leave them as they are."""


WAYS: dict[str, Callable[[np.ndarray], None]] = {"stored": stored, "unit": unit}


def read_checked(path: Path, use: Callable[[np.ndarray], None]) -> None:
    """Read all tokens as the scorers do."""
    with FeatureReader(path) as reader:
        for index in range(len(reader)):
            use(reader.half_tokens(index))


def read_unchecked(path: Path, use: Callable[[np.ndarray], None]) -> None:
    """The same, without checking the bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckedFile, "_compare", lambda *_: None)
        read_checked(path, use)


def read_plain(path: Path, use: Callable[[np.ndarray], None]) -> None:
    """Read all tokens with HDF5 alone."""
    with h5py.File(path, "r", locking=False) as file:
        tokens, grids = file["patch_tokens"], file["grid_size"][:]
        for index, (rows, columns) in enumerate(grids):
            use(tokens[index, :, :rows, :columns])


READINGS: dict[str, Callable[[Path, Callable[[np.ndarray], None]], None]] = {
    "checked": read_checked,
    "unchecked": read_unchecked,
    "plain": read_plain,
}


def forget(path: Path) -> None:
    """Remove a file from the cache, so that it is read from the disk the next time."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def seconds(call: Callable[[], None], clock: Callable[[], float] = time.process_time) -> float:
    """The seconds of a call; processor seconds do not depend on other processes."""
    start = clock()
    call()
    return clock() - start


def compare(title: str, turns: list[dict[str, float]]) -> None:
    """Print medians, and how much slower the checked reading is than the others of its turn."""
    medians = [f"{name} {statistics.median(turn[name] for turn in turns):.3f} s" for name in READINGS]
    slower = [
        f"{statistics.median(turn['checked'] / turn[name] - 1 for turn in turns):+.1%} against {name}"
        for name in ("unchecked", "plain")
    ]
    print(f"{title:20} {', '.join(medians)}: checked {', '.join(slower)}", flush=True)


def main() -> None:
    """Write a file, read it in turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--turns", type=int, default=21)
    parser.add_argument("--folder", type=Path, help="for the file; a temporary one if not given")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory(dir=options.folder) as folder:
        path, content = Path(folder, "features.h5"), Path(folder, "content")
        writing = seconds(partial(write, path, max(1, round(options.gigabytes * 1e9 / IMAGE_BYTES))))
        shutil.copyfile(path, content)
        digesting = seconds(partial(append_digests, content))
        content.unlink()
        print(f"written: {path.stat().st_size / 1e9:.2f} GB in {writing:.2f} s, of which digests {digesting:.2f} s")
        for way, use in WAYS.items():
            turns = [
                {name: seconds(partial(read, path, use)) for name, read in READINGS.items()}
                for _ in range(options.turns + 1)
            ]
            compare(way, turns[1:])  # the first warms up
            checks = statistics.median(turn["checked"] - turn["unchecked"] for turn in turns[1:])
        disk = []
        for _ in range(options.turns):
            forget(path)
            disk.append(seconds(partial(read_unchecked, path, unit), time.perf_counter))
        whole = statistics.median(disk)
        print(f"unit, from the disk  {whole:.3f} s, of which the checks of {checks:.3f} s are {checks / whole:.1%}")


if __name__ == "__main__":
    main()
