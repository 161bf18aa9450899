"""Measure time and memory of the refiners without weights, for images of 1 to 100 megapixels.

    python benchmarks/refinement.py                        # 1, 4, 12, 25, 50 and 100 megapixels
    python benchmarks/refinement.py --largest 12 --plain 1
    python benchmarks/refinement.py --shape strip          # images 40 times as long as high

bounded  the refiner of the pipeline
plain    the same at full size: GrabCut on whole windows, the guided filter on the whole image in one piece; only up to
         --plain megapixels, as its time (GrabCut) and memory (guided filter) soon exceed a machine

Photographs are scikit-image's gravel, enlarged, with twelve dark spots; maps lie on a grid of 32 x 32 and exceed their
threshold at the spots and at 2 % of the other patches. Each figure is a process of its own, with one thread; memory is
the peak above that of the libraries, without the image file, which is never written. The last columns are what the
rule asks for (see zsad/resources/refinement.py), before its margins.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
from skimage import data

from zsad.maps import Thresholds, standing_out
from zsad.refinement import guided
from zsad.refinement.base import Refiner
from zsad.refinement.grabcut import GrabCut
from zsad.refinement.guided import Guided
from zsad.resources.refinement import PIXEL_COSTS, WORKING_PIXELS

MEGAPIXELS = (1, 4, 12, 25, 50, 100)
STRIP = 40  # times as long as high
GRID = 32
SPOTS = 12
THRESHOLD = 0.5


class Measured(NamedTuple):
    """Seconds, and the peak of memory above the libraries in 10^6 bytes."""

    seconds: float
    megabytes: float


def refiner(name: str, *, plain: bool) -> Refiner:
    """The refiner, or the same at full size."""
    if name == "grabcut":
        return GrabCut.model_construct(max_pixels=10**9) if plain else GrabCut()
    return Guided()


def scene(megapixels: float, shape: str) -> tuple[np.ndarray, np.ndarray]:
    """An image uint8 ``[height, width, 3]`` and its map float32 on the grid."""
    ratio = STRIP if shape == "strip" else 4 / 3
    height = round(math.sqrt(megapixels * 1e6 / ratio))
    width = round(megapixels * 1e6 / height)
    grey = cv2.resize(data.gravel(), (width, height), interpolation=cv2.INTER_LINEAR)
    rng = np.random.default_rng(0)
    grid = 0.2 * rng.random((GRID, GRID))
    grid[rng.random(grid.shape) < 0.02] = 0.8
    for row, column in rng.integers(2, GRID - 2, (SPOTS, 2)):
        grid[row : row + 2, column : column + 2] = 1
        box = (row * height // GRID, (row + 1) * height // GRID, column * width // GRID, (column + 1) * width // GRID)
        grey[box[0] : box[1], box[2] : box[3]] //= 4
    return np.repeat(grey[..., None], 3, axis=2), grid.astype(np.float32)


def measure(name: str, megapixels: float, shape: str, plain: bool) -> Measured:
    """Refine once, in this process."""
    cv2.setNumThreads(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if plain:
        guided.TILE = guided.WORKING_RADIUS = 10**9
    image, grid = scene(megapixels, shape)
    start = time.perf_counter()
    anomaly_map = standing_out(grid, Thresholds(pixel=THRESHOLD, region=THRESHOLD), *image.shape[:2])
    refiner(name, plain=plain).refine(image, anomaly_map, THRESHOLD)
    seconds = time.perf_counter() - start
    return Measured(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=float, default=100, help="megapixels")
    parser.add_argument("--plain", type=float, default=1, help="megapixels of the largest image for the plain way")
    parser.add_argument("--shape", choices=("photograph", "strip"), default="photograph")
    arguments = parser.parse_args()
    print("| refiner | megapixels | seconds | MB | plain: seconds | plain: MB | faster | asked: seconds | asked: MB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in ("guided", "grabcut"):
        for megapixels in (size for size in MEGAPIXELS if size <= arguments.largest):
            print(_line(name, megapixels, arguments.shape, megapixels <= arguments.plain), flush=True)


def _line(name: str, megapixels: float, shape: str, with_plain: bool) -> str:
    found = _apart(name, megapixels, shape, False)
    cost = PIXEL_COSTS[name]
    plain = _apart(name, megapixels, shape, True) if with_plain else None
    beside = f"{plain.seconds:.1f} | {plain.megabytes:.0f} | {plain.seconds / found.seconds:.1f} x" if plain else "| |"
    working = cost.working_bytes * min(megapixels, WORKING_PIXELS / 1e6)
    asked = f"{cost.seconds * megapixels * 1e6:.1f} | {cost.bytes * megapixels + working:.0f}"
    return f"| {name} | {megapixels} | {found.seconds:.2f} | {found.megabytes:.0f} | {beside} | {asked} |"


def _apart(*arguments: object) -> Measured:
    """`measure` in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


if __name__ == "__main__":
    main()
