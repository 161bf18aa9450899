"""Estimates of the rules in rules/refinement.smk without a segmentation model: masks, and maps modulated by masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from zsad.resources.data import DECODE_SECONDS
from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PLAIN
from zsad.resources.run import Run, localises


class PixelCost(NamedTuple):
    """The cost of a refiner per pixel of an image: bytes for the largest image, seconds for all.

    Attributes:
        working_bytes: further bytes for each of the first `WORKING_PIXELS`, the most that refiners process at a time.
    """

    bytes: float
    seconds: float
    working_bytes: float = 0


WORKING_PIXELS = 600_000
# Measured by benchmarks/refinement.py.
PIXEL_COSTS: Mapping[str, PixelCost] = {
    "guided": PixelCost(24, 1.7e-7, working_bytes=220),
    "grabcut": PixelCost(24, 1.7e-7, working_bytes=30),
}
OTHER = PixelCost(200, 3e-7)
NO_MAP = PixelCost(10, 0)  # for a method without maps, nothing is segmented
MODULATED = PixelCost(20, 1e-8)


def refine_masks(run: Run, names: Mapping[str, str]) -> Estimate:
    """Loads photograph and map at the image's own resolution, one image at a time."""
    cost = PIXEL_COSTS.get(run.settings.refiners[names["refiner"]].refiner, OTHER)
    cost = cost if localises(run, names["method"]) else NO_MAP
    return _by_pixel(PLAIN, run, names, cost).plus(seconds=DECODE_SECONDS * run.workload(names["category"]).test.pixels)


def modulate_scores(run: Run, names: Mapping[str, str]) -> Estimate:
    """Resamples masks to the patch grid."""
    return _by_pixel(PLAIN, run, names, MODULATED)


def _by_pixel(start: Estimate, run: Run, names: Mapping[str, str], cost: PixelCost) -> Estimate:
    images = run.workload(names["category"]).test
    largest = images.largest.pixels
    taken = cost.bytes * largest + cost.working_bytes * min(largest, WORKING_PIXELS)
    return start.plus(taken / 1e6, cost.seconds * images.pixels)
