"""Estimate of the rule in rules/exports.smk: pictures and annotations for other programs."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.data.pixels import STRIP_PIXELS
from zsad.resources.data import DECODE_SECONDS, DECODED_BYTES
from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PLOTS
from zsad.resources.run import Run, localises

EXPORTED_BYTES, PAINTED_BYTES = 16, 40  # per pixel of the largest image; and of the region painted at a time
EXPORTED_SECONDS = 2e-7  # per pixel
WRITTEN_SECONDS = 0.01  # per image: a file in each format


def export_results(run: Run, names: Mapping[str, str]) -> Estimate:
    """Photograph, map, mask and pictures at the image's own resolution, one image at a time."""
    images = run.workload(names["category"]).test
    written = WRITTEN_SECONDS * images.number
    if not localises(run, names["method"]):
        return PLOTS.plus(seconds=written)
    largest = images.largest.pixels
    taken = (DECODED_BYTES + EXPORTED_BYTES) * largest + PAINTED_BYTES * min(largest, STRIP_PIXELS)
    return PLOTS.plus(
        taken / 1e6,
        written + (DECODE_SECONDS + EXPORTED_SECONDS) * images.pixels,
    )
