"""The page: one HTML file with all results, which opens without a network.

If this file would be too large for a browser, it is an index, and each category has its own page in a folder beside
it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from zsad.errors import DataError
from zsad.files.json_files import read_json
from zsad.reporting.class_evaluations import read_class_evaluations
from zsad.reporting.contact_sheets import sheet_files
from zsad.reporting.contents import ClassContents, Contents, plot_of, regions_refined, with_names_of_pairs
from zsad.reporting.evaluations import Evaluation, MethodKey, display_names, key_of, read_evaluations
from zsad.reporting.page import HEAVIEST, write_pages
from zsad.reporting.results import keys_of, read_comparisons, read_costs, read_metrics, read_refinement, with_names
from zsad.tables.csv_tables import AGAINST_PUBLISHED, COMPARISONS, COSTS, METRICS


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
    against_csv: Path | None = None,
    cost_csv: Path | None = None,
    bars_plot: Path | None = None,
    quality_plot: Path | None = None,
    sweep_plots: Mapping[str, Path] = MappingProxyType({}),
    folder: Path | None = None,
    heaviest: float = HEAVIEST,
    image_lists: Mapping[str, Path] = MappingProxyType({}),
    thumbnails: Mapping[str, Path] = MappingProxyType({}),
    layers: Sequence[Path] = (),
    root: str = "",
    class_evaluations: Sequence[Path] = (),
    confusion_plots: Mapping[tuple[str, str], Path] = MappingProxyType({}),
    shots_plots: Mapping[str, Path] = MappingProxyType({}),
    support_thumbnails: Mapping[tuple[str, str], Path] = MappingProxyType({}),
    group_size: int = 1,
) -> None:
    """Write the page of a data set.

    Sections without content are left out.

    Args:
        metrics_csv: None if no test image has a label; then the page has no metrics.
        refinement_csv: None in that case too; then the numbers of refined regions come from ``mask_evaluations``.
        evaluations: of scores, one for each category and method; the page keeps their order of categories.
        mask_evaluations: of masks, one for each category, method and refiner: how many regions were refined, why
            others were not, and notes.
        galleries: the ``panels`` files of `zsad.reporting.draw_gallery.draw_gallery`.
        curve_plots, histogram_plots: PNG files by category; no curves if no ranking can be measured.
        configuration: shown as it is; the reasons in ``left_out``, by method, are also shown at the top.
        method_summaries: for each method its ``scorer``, ``summary``, ``reference``, ``setting``, the anomalies that it
            is ``blind_to``, its ``threshold`` rule in words, and the ``entry`` of the configuration that sets its
            threshold, if it has its own.
        output: HTML file; the index of a large page.
        checks: by category the result of the image check (see `zsad.data.inspection.Inspection`).
        comparisons_csv: methods in pairs; without it the section of comparisons is left out.
        against_csv: our figures compared with published ones; likewise.
        cost_csv: seconds and memory; without it the section of costs is left out.
        summary_plot, bars_plot, quality_plot: PNG files of all methods, of all categories side by side, and of quality
            against cost; optional.
        sweep_plots: PNG files of swept parameters, by method.
        folder: for the pages of the categories if one page would be too large; created in any case, and its old
            content is deleted. None for one page, whatever its size.
        heaviest: the largest size of one page, in MB.
        image_lists: by category, for categories with thumbnails.
        thumbnails: by category (see `zsad.reporting.draw_thumbnails`); other categories have no contact sheet.
        layers: of every category and method (see `zsad.reporting.draw_layers`); the sheet shows only these methods.
        root: folder of the images, where the user can put a table of marks; empty for the working folder, and then the
            paths of images are complete.
        class_evaluations: of defect types, one for each category and classifier; without any, the section is left out.
        confusion_plots: PNG files by category and classifier, for categories with labelled images.
        shots_plots: PNG files by category, likewise.
        support_thumbnails: by category and name, of the labelled examples that are stored beside the data set.
        group_size: number of classified images shown in each group.

    Raises:
        DataError: an input is missing or damaged, a category has no plots, or the page cannot be written.
    """
    results = read_evaluations(evaluations)
    names = display_names(map(key_of, results))
    metrics = read_metrics(metrics_csv) if metrics_csv else METRICS.frame([])
    evaluated = pd.Series([key in names for key in keys_of(metrics)], index=metrics.index, dtype=bool)
    metrics = metrics[evaluated | (metrics["seeds"] > 1)]
    in_tables = display_names([*names, *keys_of(metrics)])
    mask_results = [read_json(path) for path in mask_evaluations]
    refinement = read_refinement(refinement_csv) if refinement_csv else regions_refined(results, mask_results)
    comparisons = read_comparisons(comparisons_csv) if comparisons_csv else COMPARISONS.frame([])
    costs = read_costs(cost_csv) if cost_csv else COSTS.frame([])
    by_category: dict[str, dict[MethodKey, Evaluation]] = defaultdict(dict)
    for gallery in map(read_json, galleries):
        by_category[gallery["category"]][key_of(gallery)] = gallery
    categories = list(dict.fromkeys(result["category"] for result in results))
    for category in categories:
        if category not in histogram_plots:
            raise DataError(f"the page has no histogram plot of category '{category}'; run again to draw it")
    plots = {"summary": summary_plot, "bars": bars_plot, "quality_cost": quality_plot}
    contents = Contents(
        dataset=dataset,
        results=results,
        mask_results=mask_results,
        names=names,
        in_tables=in_tables,
        metrics=with_names(metrics, in_tables),
        refinement=with_names(refinement, in_tables),
        comparisons=with_names_of_pairs(comparisons, in_tables),
        costs=with_names(costs, in_tables),
        against=AGAINST_PUBLISHED.read(against_csv) if against_csv else AGAINST_PUBLISHED.frame([]),
        galleries=by_category,
        checks={category: read_json(path) for category, path in checks.items()},
        curves={category: plot_of(path) for category, path in curve_plots.items()},
        histograms={category: plot_of(path) for category, path in histogram_plots.items()},
        plots={name: plot_of(path) if path else None for name, path in plots.items()},
        sweeps={method: plot_of(path) for method, path in sweep_plots.items()},
        configuration=configuration,
        method_summaries=method_summaries,
        sheets=sheet_files(categories, image_lists, thumbnails, layers),
        root=root,
        classes=ClassContents(
            evaluations=read_class_evaluations(class_evaluations),
            confusions={key: plot_of(path) for key, path in confusion_plots.items()},
            shots={category: plot_of(path) for category, path in shots_plots.items()},
            supports=support_thumbnails,
            count=group_size,
        ),
    )
    write_pages(contents, output, folder, heaviest)
