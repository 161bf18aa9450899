"""The results of a run as tables to read, in Markdown and LaTeX."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zsad.evaluation.bootstrap import NORMAL_QUANTILE
from zsad.evaluation.ranking import RANKING_METRICS
from zsad.evaluation.refinement import MATERIAL_CHANGE
from zsad.evaluation.refinement_table import RefinementResult
from zsad.evaluation.results import MASK_METRICS, Result, first_places, grouped, is_known
from zsad.evaluation.typeset import Cell, Change, Table, latex_table, markdown_table, markdown_text
from zsad.store import NO_REFINER, ORACLE

TITLES = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "image_f1max": "image F1-max",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pixel_f1max": "pixel F1-max",
    "aupro": "AUPRO",
    "mask_precision": "precision",
    "mask_recall": "recall",
    "mask_f1": "F1",
    "mask_iou": "IoU",
    "decision_f1": "image F1",
}
EXPLANATION = (
    "All figures are percentages; ± is half the width of the 95 % confidence interval (bootstrap over images), or in "
    "rows over several seeds the standard deviation over the seeds. "
    "The best of each setting is bold: settings differ in what a method may see and are not comparable. "
    "F1-max takes its threshold from the test labels; the table of masks and decisions takes it from the unlabelled "
    "images. Pixel metrics are taken at the resolution of the ground truth. Means weigh every category alike."
)
_CHANGES = {"image_iou": "image IoU", "image_dice": "image Dice", "mask_f1": "pixel F1"}
REFINEMENT_NOTE = (
    "From the thresholded map (before) to the refiner's masks (after). Image IoU and Dice are means over the defective "
    "images, pixel F1 is pooled over the pixels of a category. Helped and harmed: the share of defective images whose "
    f"IoU rises, or falls, by more than {MATERIAL_CHANGE:g}. Accepted: the share of the regions found whose new "
    "outline replaced the old one."
)
ORACLE_NOTE = (
    "A ceiling, not a method: the segmentation model is given the true box of every defect region and chooses among "
    "its own outlines by itself. It is no strict bound: points, or another choice among the outlines, may do better."
)


def overview_tables(
    results: Sequence[Result], means: Sequence[Result], refinements: Sequence[RefinementResult]
) -> list[Table]:
    """Means first, those of refinement and of the oracle among them, then image AUROC and AUPRO by category.

    Args:
        refinements: means over categories.
    """
    of_methods = [mean for mean in means if mean.method != ORACLE]
    return [*_mean_tables(of_methods), *_refinement_tables(refinements), *_category_tables(results, of_methods)]


def overview_notes(documents: Sequence[Mapping[str, Any]], means: Sequence[Result]) -> list[str]:
    """Every note once for each category it belongs to, and what the means leave out.

    Args:
        documents: evaluations of scores and of masks.
    """
    notes = [f"{document['category']}: {note}" for document in documents for note in document["notes"]]
    total = len({document["category"] for document in documents})
    for mean in (mean for mean in means if mean.refiner == NO_REFINER and mean.seeds == 1):
        for kind, number in (("image", mean.categories), ("pixel", mean.pixel_categories)):
            if number < total:
                notes.append(f"{mean.method}: means of {kind} metrics are over {number} of {total} categories.")
    return list(dict.fromkeys(notes))


def as_markdown(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """A Markdown document of the tables, explained, with the notes at its end."""
    parts = ["# Results\n", f"{EXPLANATION}\n", *(markdown_table(table) for table in tables)]
    if notes:
        parts.append("## Notes\n\n" + "".join(f"- {markdown_text(note)}\n" for note in notes))
    return "\n".join(parts)


def as_latex(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """LaTeX source of the tables; explanation and notes are comments."""
    comments = "".join(f"% {line}\n" for line in (EXPLANATION, *notes))
    return "% Needs \\usepackage{booktabs}.\n" + comments + "\n" + "\n".join(latex_table(table) for table in tables)


def _mean_tables(means: Sequence[Result]) -> list[Table]:
    of_maps = [mean for mean in means if mean.refiner == NO_REFINER]
    return [
        _metrics_table(
            "Anomaly scores and maps: mean over categories", of_maps, RANKING_METRICS, ("method", "backbone")
        ),
        _metrics_table(
            "Masks and decisions at the label-free threshold: mean over categories",
            means,
            (*MASK_METRICS, "pixel_f1max", "decision_f1", "image_f1max"),
            ("method", "refiner"),
        ),
    ]


def _refinement_tables(means: Sequence[RefinementResult]) -> list[Table]:
    """What refiners change, and the ceiling with true boxes; none where there are no refiners, or oracles."""
    changes = [
        [
            mean.setting,
            _named(mean, "method"),
            mean.refiner,
            *(Change(mean.values[f"{name}_before"], mean.values[f"{name}_after"]) for name in _CHANGES),
            *(Cell(share) for share in (mean.values["helped"], mean.values["harmed"], mean.accepted_share)),
        ]
        for mean in means
        if mean.method != ORACLE
    ]
    ceilings = [
        [mean.refiner, *(Cell(mean.values[f"{name}_after"]) for name in (*_CHANGES, "mask_iou"))]
        for mean in means
        if mean.method == ORACLE and mean.categories
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
    """A row a result, those of one setting together; the best of each setting bold."""
    rows = []
    for group in grouped(means, lambda mean: mean.setting):
        columns = [
            _cells([mean.values[metric] for mean in group], [_margin(mean, metric) for mean in group])
            for metric in metrics
        ]
        for index, mean in enumerate(group):
            names = [mean.setting, *(_named(mean, key) for key in keys)]
            rows.append([*names, *(column[index] for column in columns)])
    return Table(title, ["setting", *keys, *(TITLES[metric] for metric in metrics)], rows)


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
    for metric in ("image_auroc", "aupro"):
        value = {(result.category, result.method): result.values[metric] for result in of_maps}
        rows: list[list[str | Cell]] = [["setting", *settings]]
        for category in first_places(result.category for result in of_maps):
            cells = [_cells([value.get((category, mean.method), np.nan) for mean in group]) for group in groups]
            rows.append([category, *itertools.chain.from_iterable(cells)])
        tables.append(Table(f"By category: {TITLES[metric]}", ["category", *names], rows))
    return tables


def _cells(values: Sequence[float], margins: Sequence[float] | None = None) -> list[Cell]:
    """Cells of competing results; the best, as printed, are marked if there is any competition."""
    margins = margins or [np.nan] * len(values)
    printed = [round(100 * value, 1) if is_known(value) else -np.inf for value in values]
    best = max(printed)
    competed = len(set(printed)) > 1
    return [
        Cell(value, margin, competed and shown == best)
        for value, margin, shown in zip(values, margins, printed, strict=True)
    ]


def _margin(result: Result, metric: str) -> float:
    if result.seeds > 1:
        return result.deviation[metric]
    return NORMAL_QUANTILE * result.confidence[metric].standard_error if metric in result.confidence else np.nan
