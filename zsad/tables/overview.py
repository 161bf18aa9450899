"""The results of a run as tables to read, in Markdown and LaTeX."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zsad.evaluation.measured import first_places, is_known
from zsad.evaluation.protocols import PROTOCOLS
from zsad.evaluation.refinement import MATERIAL_CHANGE
from zsad.names import (
    IMAGE_METRICS,
    MEAN,
    MEAN_OBJECTS,
    MEAN_TEXTURES,
    NO_REFINER,
    ORACLE,
    PIXEL_METRICS,
    THRESHOLD_METRICS,
    TITLES,
    setting_order,
)
from zsad.tables.comparisons import Comparison, comparison_tables
from zsad.tables.missing import MISSING
from zsad.tables.published import FIGURES, PublishedFigure
from zsad.tables.refinement_table import RefinementResult
from zsad.tables.results import Result, grouped
from zsad.tables.typeset import Cell, Change, Table, latex_source, markdown_table, markdown_text

EXPLANATION = (
    "All figures are percentages; ± is half the width of the 95 % confidence interval (bootstrap over images), or in "
    "rows over several seeds the standard deviation over the seeds. "
    "The best of each setting is bold and the second underlined: settings differ in what a method may see and are not "
    "comparable. F1-max and IoU-max take their threshold from the test labels; the tables of masks and decisions take "
    "it from the unlabelled images. Means weigh every category alike. docs/metrics.md defines every metric."
)
CATEGORY_METRICS = ("image_auroc", "pixel_ap", "aupro")
_CHANGES = {"image_iou": "image IoU", "image_dice": "image Dice", "mask_f1": "SegF1"}
REFINEMENT_NOTE = (
    "From the thresholded map (before) to the refiner's masks (after). Image IoU and Dice are means over the defective "
    "images, SegF1 is pooled over the pixels of a category. Helped and harmed: the share of defective images whose "
    f"IoU rises, or falls, by more than {MATERIAL_CHANGE:g}. Accepted: the share of the regions found whose new "
    "outline replaced the old one."
)
ORACLE_NOTE = (
    "A ceiling, not a method: the segmentation model is given the true box of every defect region and chooses among "
    "its own outlines by itself. It is no strict bound: points, or another choice among the outlines, may do better."
)


PUBLISHED_NOTE = (
    "Rows of this run have no source. Published figures are as their sources print them, at the resolution and by the "
    "protocol that they state; definitions alone may differ by points (docs/metrics.md), so that a comparison is rough."
)


def overview_tables(
    results: Sequence[Result],
    means: Sequence[Result],
    refinements: Sequence[RefinementResult],
    compared: Sequence[Comparison] = (),
    published: Sequence[PublishedFigure] = (),
) -> list[Table]:
    """Means first, those of refinement and of the oracle among them, then each category, and the published figures.

    Args:
        means: over all categories, and over those of a kind.
        refinements: means over categories.
        published: of the same data set, means over its categories.
    """
    of_methods = [mean for mean in means if mean.method != ORACLE]
    over_all = [mean for mean in of_methods if mean.category == MEAN]
    tables = [
        *_mean_tables(over_all),
        *_kind_tables(of_methods),
        *_refinement_tables(refinements),
        *comparison_tables(compared),
        *_category_tables(results, over_all),
        *_published_tables(over_all, published),
    ]
    protocols = {result.protocol for result in results}
    return [replace(table, title=f"{table.title} ({', '.join(sorted(protocols))})") for table in tables]


def without_unknown(table: Table) -> Table:
    """The table without the columns of figures that no row has one for, and the rows that have none in any column."""
    figures = [
        [row[column] for row in table.rows if not isinstance(row[column], str)] for column in range(len(table.header))
    ]
    missing = [any(row[column] == MISSING for row in table.rows) for column in range(len(table.header))]
    kept = [column for column, cells in enumerate(figures) if not cells or missing[column] or any(map(is_told, cells))]
    header = [table.header[column] for column in kept]
    rows = [[row[column] for column in kept] for row in table.rows]
    return replace(table, header=header, rows=[row for row in rows if _tells(row)])


def _tells(row: Sequence[str | Cell | Change]) -> bool:
    """Whether a row has a figure, or is no row of figures, or says that they are missing."""
    cells = [cell for cell in row if not isinstance(cell, str)]
    return not cells or MISSING in row or any(map(is_told, cells))


def is_told(cell: Cell | Change) -> bool:
    """Whether a cell has a figure."""
    return any(is_known(value) for value in ((cell.value,) if isinstance(cell, Cell) else cell))


def overview_notes(documents: Sequence[Mapping[str, Any]], means: Sequence[Result]) -> list[str]:
    """Every note once for each category it belongs to, and what the means leave out.

    Args:
        documents: evaluations of scores and of masks.
    """
    notes = [f"{document['category']}: {note}" for document in documents for note in document["notes"]]
    total = len({document["category"] for document in documents})
    complete = (mean for mean in means if not mean.missing)
    for mean in (mean for mean in complete if (mean.category, mean.refiner, mean.seeds) == (MEAN, NO_REFINER, 1)):
        for kind, number in (("image", mean.categories), ("pixel", mean.pixel_categories)):
            if number < total:
                notes.append(f"{mean.method}: means of {kind} metrics are over {number} of {total} categories.")
    return list(dict.fromkeys(notes))


def as_markdown(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """A Markdown document of the tables, explained, with the notes at its end."""
    parts = ["# Results\n", f"{EXPLANATION}\n", f"{_protocol_words()}\n", *(markdown_table(table) for table in tables)]
    if notes:
        parts.append("## Notes\n\n" + "".join(f"- {markdown_text(note)}\n" for note in notes))
    return "\n".join(parts)


def as_latex(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """LaTeX source of the tables; explanation and notes are comments."""
    return latex_source(tables, (EXPLANATION, _protocol_words(), *notes))


def _protocol_words() -> str:
    """What the names of the protocols in the titles mean."""
    return "Pixels are compared " + ", or ".join(f"{one.words} (`{one.name}`)" for one in PROTOCOLS.values()) + "."


def _mean_tables(means: Sequence[Result]) -> list[Table]:
    of_maps = [mean for mean in means if mean.refiner == NO_REFINER]
    return [
        _metrics_table("Images: mean over categories", of_maps, IMAGE_METRICS, ("method", "backbone")),
        _metrics_table("Pixels: mean over categories", of_maps, PIXEL_METRICS, ("method", "backbone")),
        _metrics_table(
            "Masks and decisions at the label-free threshold: mean over categories",
            means,
            THRESHOLD_METRICS,
            ("method", "refiner"),
        ),
    ]


def _kind_tables(means: Sequence[Result]) -> list[Table]:
    """Means over textures and over objects, where there are both."""
    return [
        _metrics_table(
            f"{name.capitalize()}",
            [mean for mean in means if (mean.category, mean.refiner) == (name, NO_REFINER)],
            ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro"),
            ("method", "backbone"),
        )
        for name in (MEAN_TEXTURES, MEAN_OBJECTS)
        if any(mean.category == name for mean in means)
    ]


def _published_tables(means: Sequence[Result], published: Sequence[PublishedFigure]) -> list[Table]:
    """Ours and those of others by setting; none where nothing is published."""
    if not published:
        return []
    rows: list[list[str | Cell]] = [
        [
            *(mean.setting, _named(mean, "method"), mean.backbone, mean.protocol),
            *_cells_of(mean, [Cell(mean.values[name]) for name in FIGURES]),
            "",
        ]
        for mean in means
        if mean.refiner == NO_REFINER
    ]
    rows += [
        [
            *(one.setting, one.method, one.backbone, f"{one.resolution} px; {one.protocol}"),
            *(Cell(getattr(one, name)) for name in FIGURES),
            f"{one.source} ({one.note})" if one.note else one.source,
        ]
        for one in published
    ]
    rows.sort(key=lambda row: setting_order(str(row[0])))
    header = ["setting", "method", "backbone", "protocol", *(TITLES[name] for name in FIGURES), "source"]
    return [Table("Beside published figures: mean over categories", header, rows, PUBLISHED_NOTE, apart=True)]


def _refinement_tables(means: Sequence[RefinementResult]) -> list[Table]:
    """What refiners change, and the ceiling with true boxes; none where there are no refiners, or oracles."""
    changes = [
        [
            mean.setting,
            _named(mean, "method"),
            mean.refiner,
            *_cells_of(
                mean,
                [
                    *(Change(mean.values[f"{name}_before"], mean.values[f"{name}_after"]) for name in _CHANGES),
                    *(Cell(share) for share in (mean.values["helped"], mean.values["harmed"], mean.accepted_share)),
                ],
            ),
        ]
        for mean in means
        if mean.method != ORACLE
    ]
    ceilings = [
        [mean.refiner, *_cells_of(mean, [Cell(mean.values[f"{name}_after"]) for name in (*_CHANGES, "mask_iou")])]
        for mean in means
        if mean.method == ORACLE and (mean.categories or mean.missing)
    ]
    names = list(_CHANGES.values())
    tables = [
        Table(
            "Refinement: mean over categories",
            ["setting", "method", "refiner", *names, "helped", "harmed", "accepted"],
            changes,
            REFINEMENT_NOTE,
        ),
        Table(
            "With boxes from the ground truth: mean over categories",
            ["segmentation model", *names, "pixel IoU"],
            ceilings,
            ORACLE_NOTE,
        ),
    ]
    return [table for table in tables if table.rows]


def _metrics_table(title: str, means: Sequence[Result], metrics: Sequence[str], keys: Sequence[str]) -> Table:
    """A row a result, those of one setting together, the best of each setting marked; without unknown metrics."""
    metrics = [metric for metric in metrics if any(mean.tells(metric) for mean in means)]
    rows = []
    for group in grouped(means, lambda mean: mean.setting):
        columns = [
            _cells([mean.values[metric] for mean in group], [_margin(mean, metric) for mean in group])
            for metric in metrics
        ]
        for index, mean in enumerate(group):
            names = [mean.setting, *(_named(mean, key) for key in keys)]
            rows.append([*names, *_cells_of(mean, [column[index] for column in columns])])
    rows = rows if metrics else []  # nothing is known, so that there is nothing to tell
    return Table(title, ["setting", *keys, *(TITLES[metric] for metric in metrics)], rows, apart=True)


def _named(mean: Result | RefinementResult, key: str) -> str:
    """A name of a result, with the number of seeds where there are several."""
    name = getattr(mean, key)
    return f"{name} ({mean.seeds} seeds)" if key == "method" and mean.seeds > 1 else name


def _category_tables(results: Sequence[Result], means: Sequence[Result]) -> list[Table]:
    """A table a metric: a row a category, a column a method, those of one setting side by side; no means over seeds."""
    means = [mean for mean in means if mean.seeds == 1]
    groups = grouped([mean for mean in means if mean.refiner == NO_REFINER], lambda mean: mean.setting)
    of_maps = [result for result in [*results, *means] if result.refiner == NO_REFINER]
    names = [mean.method for group in groups for mean in group]
    settings = [mean.setting for group in groups for mean in group]
    tables = []
    for metric in CATEGORY_METRICS:
        value = {(result.category, result.method): result.values[metric] for result in of_maps}
        missing = {(result.category, result.method) for result in of_maps if result.missing}
        rows: list[list[str | Cell]] = [["setting", *settings]]
        for category in first_places(result.category for result in of_maps):
            cells = [_cells([value.get((category, mean.method), np.nan) for mean in group]) for group in groups]
            shown = zip(names, itertools.chain.from_iterable(cells), strict=True)
            rows.append([category, *(MISSING if (category, name) in missing else cell for name, cell in shown)])
        tables.append(Table(f"By category: {TITLES[metric]}", ["category", *names], rows))
    return tables


def _cells_of(result: Result | RefinementResult, cells: Sequence[Cell | Change]) -> Sequence[str | Cell | Change]:
    """The cells of a result, or words in their place if it is missing."""
    return [MISSING] * len(cells) if result.missing else cells


def _cells(values: Sequence[float], margins: Sequence[float] | None = None) -> list[Cell]:
    """Cells of competing results; the best, and of three or more the second, as printed, are marked."""
    margins = margins or [np.nan] * len(values)
    printed = [round(100 * value, 1) if is_known(value) else -np.inf for value in values]
    places = sorted(set(printed), reverse=True)
    best = places[0] if len(places) > 1 else None
    second = places[1] if len(values) > 2 and len(places) > 1 and np.isfinite(places[1]) else None
    return [
        Cell(value, margin, best=shown == best, second=shown == second)
        for value, margin, shown in zip(values, margins, printed, strict=True)
    ]


def _margin(result: Result, metric: str) -> float:
    if result.seeds > 1:
        return result.deviation[metric]
    return result.confidence[metric].margin if metric in result.confidence else np.nan
