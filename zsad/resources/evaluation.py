"""Estimates of the rules in rules/evaluation.smk and rules/cost.smk: metrics and tables."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.evaluation.aupro import LINEAR
from zsad.evaluation.defects import BYTES_A_DEFECT
from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PANDAS_MEGABYTES, PANDAS_SECONDS, PLAIN, STATISTICS
from zsad.resources.run import Run, localises
from zsad.resources.workload import Images

DEFECTIVE_SHARE = 0.02  # of the pixels; evaluation.memory_mb limits their memory
IMAGE_BYTES, PIXEL_SECONDS = 25, 2.5e-8  # per pixel: map, ground truth and regions; compared and counted
MARK_PIXEL_BYTES, MARK_PIXEL_SECONDS = 15, 3e-8  # the thresholded map at the size of the image, and its regions
MASK_PIXEL_BYTES, MASK_PIXEL_SECONDS = 12, 1.5e-8
SMOOTHED_PIXEL_SECONDS = 5e-9  # per pixel of the image and of sigma
DRAW_SECONDS = 2.2e-5  # per image and bootstrap replicate
IMAGE_SECONDS = 1e-3
TABLES_MEGABYTES = 40
RESULT_SECONDS, RESULT_MEGABYTES = 0.02, 0.5  # per method and category: read, compared, written


def evaluate_scores(run: Run, names: Mapping[str, str]) -> Estimate:
    """Sorts every pixel of the test images in blocks, evaluates the marked regions, and runs the bootstrap."""
    if not localises(run, names["method"]):
        return STATISTICS
    whole = run.workload(names["category"]).test
    images = compared(run, names["category"])
    options = run.settings.evaluation
    defects = DEFECTIVE_SHARE * BYTES_A_DEFECT * images.pixels / 1e6
    draws = DRAW_SECONDS * options.bootstrap * images.number
    smoothing = SMOOTHED_PIXEL_SECONDS * options.smoothing * images.pixels
    again = PIXEL_SECONDS * images.pixels if options.aupro == LINEAR else 0.0  # for the ends of the thresholds
    return STATISTICS.plus(
        max(
            IMAGE_BYTES * images.largest.pixels / 1e6 + min(defects, options.memory_mb),
            MARK_PIXEL_BYTES * whole.largest.pixels / 1e6,
        ),
        PIXEL_SECONDS * images.pixels + MARK_PIXEL_SECONDS * whole.pixels + draws + smoothing + again,
    )


def evaluate_masks(run: Run, names: Mapping[str, str]) -> Estimate:
    """Two masks and the ground truth, one image at a time."""
    images = run.workload(names["category"]).test
    return PLAIN.plus(
        MASK_PIXEL_BYTES * images.largest.pixels / 1e6,
        IMAGE_SECONDS * images.number + MASK_PIXEL_SECONDS * images.pixels,
    )


def collect_tables(run: Run, names: Mapping[str, str]) -> Estimate:
    """Reads the results of all methods, refiners and categories."""
    results = number_of_results(run)
    return STATISTICS.plus(TABLES_MEGABYTES + RESULT_MEGABYTES * results, RESULT_SECONDS * results)


def collect_costs(run: Run, names: Mapping[str, str]) -> Estimate:
    """Reads the benchmarks of all methods, refiners and categories."""
    return PLAIN.plus(PANDAS_MEGABYTES, PANDAS_SECONDS + RESULT_SECONDS / 10 * number_of_results(run))


def number_of_results(run: Run) -> int:
    """Number of results: metrics of maps and of masks."""
    settings = run.settings
    return len(run.categories) * len(settings.methods) * (1 + len(settings.refiners))


def compared(run: Run, category: str) -> Images:
    """The test images at the resolution at which pixels are compared."""
    images = run.workload(category).test
    side = run.settings.evaluation.measured_at.side
    return images if side is None else Images.of([(side, side)] * images.number)
