"""The results of a run as tables to read, in Markdown and LaTeX."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zsad.evaluation.bootstrap import NORMAL_QUANTILE
from zsad.evaluation.ranking import RANKING_METRICS
from zsad.evaluation.results import MASK_METRICS, Result, first_places, grouped, is_known
from zsad.evaluation.typeset import Cell, Table, latex_table, markdown_table, markdown_text
from zsad.store import NO_REFINER

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


def overview_tables(results: Sequence[Result], means: Sequence[Result]) -> list[Table]:
    """Means first, then image AUROC and AUPRO by category."""
    return [*_mean_tables(means), *_category_tables(results, means)]


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


def _named(mean: Result, key: str) -> str:
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
