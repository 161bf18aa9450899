"""Rules of rules/report.smk: pictures and the page."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.resources.data import DECODE_SECONDS, DECODED_BYTES
from zsad.resources.estimate import Estimate
from zsad.resources.evaluation import number_of_results
from zsad.resources.libraries import PANDAS_MEGABYTES, PANDAS_SECONDS, PLAIN, PLOTS
from zsad.resources.run import Run

GALLERY_MEGABYTES, GROUPS = 10, 3  # of a gallery: highest, lowest, most wrong
PANEL_SECONDS = 0.045  # an image of a gallery
CURVE_SECONDS = 0.12  # a method in a plot
BAR_SECONDS = 0.05  # a method and category in the summary
TEMPLATE_SECONDS = 0.4
RESULT_SECONDS, RESULT_MEGABYTES = 5e-3, 0.5  # a result on the page, its pictures included


def draw_gallery(run: Run, names: Mapping[str, str]) -> Estimate:
    """A few images, with map and mask."""
    images = run.workload(names["category"]).test
    shown = min(images.number, GROUPS * run.settings.report.gallery)
    decoded = 2 * DECODE_SECONDS * shown * images.largest.pixels
    return PLOTS.plus(GALLERY_MEGABYTES + DECODED_BYTES * images.largest.pixels / 1e6, PANEL_SECONDS * shown + decoded)


def draw_plots(run: Run, names: Mapping[str, str]) -> Estimate:
    """Curves and histograms of all methods."""
    return PLOTS.plus(30, CURVE_SECONDS * len(run.settings.methods))


def draw_summary(run: Run, names: Mapping[str, str]) -> Estimate:
    """Bars of all methods and categories."""
    return PLOTS.plus(20 + PANDAS_MEGABYTES, 1.0 + BAR_SECONDS * len(run.categories) * len(run.settings.methods))


def build_page(run: Run, names: Mapping[str, str]) -> Estimate:
    """All pictures and tables in one file."""
    results = number_of_results(run)
    return PLAIN.plus(
        20 + PANDAS_MEGABYTES + RESULT_MEGABYTES * results,
        PANDAS_SECONDS + TEMPLATE_SECONDS + RESULT_SECONDS * results,
    )
