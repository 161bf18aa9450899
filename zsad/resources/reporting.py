"""Estimates of the rules in rules/report.smk: pictures and the page."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.resources.data import DECODE_SECONDS, DECODED_BYTES
from zsad.resources.estimate import Estimate
from zsad.resources.evaluation import number_of_results
from zsad.resources.libraries import PANDAS_MEGABYTES, PANDAS_SECONDS, PICTURES, PLAIN, PLOTS
from zsad.resources.run import Run
from zsad.resources.workload import Images

GALLERY_MEGABYTES, GROUPS = 10, 3  # of a gallery: highest, lowest, worst errors
PANEL_SECONDS = 0.045  # per image of a gallery
THUMBNAIL_SECONDS = 2e-3  # per image, besides decoding and downscaling
LAYER_SECONDS, OUTLINE_SECONDS = 1.5e-3, 10e-9  # per image of a method, and per pixel of it
LAYER_BYTES = 12  # per pixel: a map and a mask at the size of the image, and its contours
SHEET_SECONDS, SHEET_MEGABYTES = 3e-4, 0.012  # per image and map in a contact sheet
CURVE_SECONDS = 0.12  # per method in a plot
BAR_SECONDS = 0.05  # per method and category in the summary
SWEEP_SECONDS = 1.0  # per plot of a swept method
TEMPLATE_SECONDS = 0.4
RESULT_SECONDS, RESULT_MEGABYTES = 5e-3, 0.5  # per result on the page, pictures included


def draw_thumbnails(run: Run, names: Mapping[str, str]) -> Estimate:
    """Downscales all test images."""
    return _made_small(run.workload(names["category"]).test)


def draw_support_thumbnails(run: Run, names: Mapping[str, str]) -> Estimate:
    """Downscales all examples of a support."""
    return _made_small(run.examples(names["category"], names["support"]))


def draw_gallery(run: Run, names: Mapping[str, str]) -> Estimate:
    """A few images with map and mask, and maps and outlines of all images."""
    images = run.workload(names["category"]).test
    shown = min(images.number, GROUPS * run.settings.report.gallery)
    decoded = 2 * DECODE_SECONDS * shown * images.largest.pixels
    layers = LAYER_SECONDS * images.number + OUTLINE_SECONDS * images.pixels
    return PLOTS.plus(
        GALLERY_MEGABYTES + max(DECODED_BYTES, LAYER_BYTES) * images.largest.pixels / 1e6,
        PANEL_SECONDS * shown + decoded + layers,
    )


def draw_plots(run: Run, names: Mapping[str, str]) -> Estimate:
    """Curves and histograms of all methods."""
    return PLOTS.plus(30, CURVE_SECONDS * len(run.settings.methods))


def draw_summary(run: Run, names: Mapping[str, str]) -> Estimate:
    """Bars of all methods and categories."""
    swept = SWEEP_SECONDS * len(run.settings.measurable.sweep_plots)
    bars = BAR_SECONDS * len(run.categories) * len(run.settings.methods)
    return PLOTS.plus(20 + PANDAS_MEGABYTES, 1.0 + bars + swept)


def build_page(run: Run, names: Mapping[str, str]) -> Estimate:
    """All pictures and tables in one file, or in several."""
    results = number_of_results(run)
    images = sum(run.workload(category).test.number for category in run.categories)
    pictures = images * (1 + len(run.settings.methods))
    return PLAIN.plus(
        20 + PANDAS_MEGABYTES + RESULT_MEGABYTES * results + SHEET_MEGABYTES * pictures,
        PANDAS_SECONDS + TEMPLATE_SECONDS + RESULT_SECONDS * results + SHEET_SECONDS * pictures,
    )


def _made_small(images: Images) -> Estimate:
    return PICTURES.plus(
        DECODED_BYTES * images.largest.pixels / 1e6,
        2 * DECODE_SECONDS * images.pixels + THUMBNAIL_SECONDS * images.number,
    )
