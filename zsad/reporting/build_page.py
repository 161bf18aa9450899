"""The page: one HTML file with everything a reader needs, which opens offline.

Where that would be too heavy for a browser, the file is an index, and each category has a page of its own in a folder
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zsad.reporting.contents import Contents, Section, read_contents
from zsad.reporting.page import HEAVIEST, Pages, write_pages
from zsad.reporting.sections import (
    at_a_glance,
    categories,
    category,
    cost,
    heading,
    provenance,
    reading,
    refinement,
    summary,
    wins,
)

OF_ALL: Sequence[Callable[[Contents], Section | None]] = (
    at_a_glance.section,
    summary.section,
    wins.section,
    cost.section,
    refinement.section,
)


def build_page(
    *,
    dataset: str,
    metrics_csv: Path | None,
    refinement_csv: Path | None,
    evaluations: Sequence[Path],
    mask_evaluations: Sequence[Path] = (),
    galleries: Sequence[Path],
    summary_plot: Path | None,
    curve_plots: Mapping[str, Path],
    histogram_plots: Mapping[str, Path],
    configuration: Mapping[str, Any],
    method_summaries: Mapping[str, Mapping[str, str]],
    output: Path,
    checks: Mapping[str, Path] = MappingProxyType({}),
    comparisons_csv: Path | None = None,
    cost_csv: Path | None = None,
    bars_plot: Path | None = None,
    quality_plot: Path | None = None,
    folder: Path | None = None,
    heaviest: float = HEAVIEST,
) -> None:
    """Write the page of a data set.

    What there is nothing of is left out, and so is its heading.

    Args:
        metrics_csv: None where no test image has a label; then nothing is said of quality.
        refinement_csv: None in that case too; what was refined is taken from ``mask_evaluations`` then.
        evaluations: of scores, one a category and method; the page keeps their order of categories.
        mask_evaluations: of masks, one a category, method and refiner: how many regions were refined, why others were
            not, and notes.
        galleries: the ``panels`` files of `zsad.reporting.draw_gallery.draw_gallery`.
        curve_plots, histogram_plots: PNG files by category; no curves where no ranking can be measured.
        configuration: shown as it is; of ``left_out`` the reasons by method stand at the top, too.
        method_summaries: for each method its ``scorer``, ``summary``, ``reference``, ``setting``, what it is
            ``blind_to``, and the ``threshold`` rule in words.
        output: HTML; of a heavy page, the index.
        checks: by category what the check of its images found (see `zsad.data.inspection.Inspection`).
        comparisons_csv: methods in pairs; who wins is left out without it.
        cost_csv: seconds and memory; the cost is left out without it.
        summary_plot, bars_plot, quality_plot: PNG files of all methods, of every category side by side, and of quality
            against cost; may be left out.
        folder: for the pages of the categories of a page that would be heavy, and made in any case; what it held is
            gone. None stands for one page, however heavy.
        heaviest: what one page may weigh, in MB.

    Raises:
        DataError: an input is absent or damaged, a category has no plots, or nothing can be written.
    """
    contents = read_contents(
        dataset=dataset,
        metrics_csv=metrics_csv,
        refinement_csv=refinement_csv,
        evaluations=evaluations,
        mask_evaluations=mask_evaluations,
        galleries=galleries,
        curve_plots=curve_plots,
        histogram_plots=histogram_plots,
        checks=checks,
        comparisons_csv=comparisons_csv,
        cost_csv=cost_csv,
        plots={"summary": summary_plot, "bars": bars_plot, "quality_cost": quality_plot},
        configuration=configuration,
        method_summaries=method_summaries,
    )
    of_all = [found for section in OF_ALL if (found := section(contents))]
    pages = Pages(
        heading=heading.section(contents),
        of_all=of_all,
        index=categories.section(contents),
        of_categories={name: category.section(contents, name) for name in contents.categories},
        reading=reading.section(contents),
        provenance={name: provenance.section(contents, [name]) for name in contents.categories},
        whole_provenance=provenance.section(contents, contents.categories),
        versions=provenance.section(contents, []),
    )
    write_pages(contents, pages, output, folder, heaviest)
