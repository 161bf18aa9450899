"""The rule of rules/exports.smk: pictures and annotations for other programs."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.resources.data import DECODE_SECONDS, DECODED_BYTES
from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PLOTS
from zsad.resources.run import Run, localises

EXPORTED_BYTES, STRIP_MEGABYTES = 60, 200  # a pixel of the largest image, beside what is painted of it at a time
EXPORTED_SECONDS = 6e-7  # a pixel
WRITTEN_SECONDS = 0.02  # an image: a file in each format


def export_results(run: Run, names: Mapping[str, str]) -> Estimate:
    """Photograph, map, mask and pictures at the image's own resolution, one image at a time."""
    images = run.workload(names["category"]).test
    written = WRITTEN_SECONDS * images.number
    if not localises(run, names["method"]):
        return PLOTS.plus(seconds=written)
    return PLOTS.plus(
        STRIP_MEGABYTES + (DECODED_BYTES + EXPORTED_BYTES) * images.largest.pixels / 1e6,
        written + (DECODE_SECONDS + EXPORTED_SECONDS) * images.pixels,
    )
