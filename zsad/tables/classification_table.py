"""The metrics of classifiers as tables to read: a separate one for each number of shots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from zsad.evaluation.measured import first_places, is_known
from zsad.names import CLASSIFICATION_METRICS, MEAN, TITLES, setting_order
from zsad.tables.class_csv import ALIKE
from zsad.tables.class_results import COVERAGE, GROUND_TRUTH, REGIONS
from zsad.tables.frames import rows_of
from zsad.tables.metrics_table import entries_of
from zsad.tables.missing import is_missing
from zsad.tables.notation import NOTATION
from zsad.tables.table import Entry, Figure, Table, count, marked, mean_number, share
from zsad.tables.typeset import latex_source, markdown_source

MEANINGS = {
    REGIONS["image"]: "The classifier uses the whole image.",
    REGIONS["predicted"]: "The classifier uses the regions of a method's map, or of a refiner's mask.",
    REGIONS[GROUND_TRUTH]: "The classifier uses the regions of the ground truth, which are unknown in practice.",
}
COMPETING = ("accuracy", "balanced_accuracy", "macro_f1")  # for the other metrics, greater is not always better
SIDES = ("low", "high", "deviation")
BASELINE = "majority"  # shown without limits
BY_CATEGORY = ("accuracy", "balanced_accuracy", COVERAGE)
EXPLANATION = (
    f"{NOTATION} A classifier predicts the defect type (kind) of an image. It is trained on K labelled examples of "
    "each kind: few-shot-defects-K, a setting of its own, which is not zero-shot. Support and calibration images are "
    "not in the figures. Images: those of a seed whose kind has examples, or all if none is labelled. Majority kind: "
    "accuracy of always predicting the most frequent kind. Coverage: share of the images whose prediction set contains "
    "their kind; it should reach the nominal coverage. Set size: mean number of kinds in a prediction set. Single "
    "answers: sets with one kind. Abstained: empty sets; for unknown kinds, which have no examples, these are correct. "
    "The best figure is bold and the second underlined, among results for the same images and kinds; results with "
    "ground-truth regions are separate. With several seeds, figures are means. Means over categories give every "
    "category the same weight; their limits follow from those of the categories (Zou and Donner, 2008). "
    "docs/metrics.md defines every metric."
)


def classification_tables(metrics: pd.DataFrame) -> list[Table]:
    """A table of the classifiers for each setting; with several categories, of the means, and one for each metric.

    Args:
        metrics: the frame of classification_metrics.csv.
    """
    settings = sorted(filter(None, first_places(metrics["setting"])), key=setting_order)
    return [table for setting in settings for table in _tables(setting, metrics[metrics["setting"] == setting])]


def classifiers_table(title: str, rows: pd.DataFrame) -> Table:
    """One row for each classifier, in groups by regions; for one category or mean, and one setting."""
    records = sorted(rows_of(rows), key=lambda row: _place_of(row["regions"]))
    groups = [row[ALIKE] for row in records]
    columns = [_figures(records, metric, groups) for metric in CLASSIFICATION_METRICS]
    nominal = CLASSIFICATION_METRICS.index(COVERAGE)
    columns.insert(nominal, [share(_nominal(row)) for row in records])
    cells = [
        [
            *(REGIONS.get(row["regions"], row["regions"]), row["classifier"], row["backbone"], row["embedding"]),
            *entries_of(row, [_number_of_kinds(row), _number_of_images(row), *(column[place] for column in columns)]),
        ]
        for place, row in enumerate(records)
    ]
    titles = [TITLES[metric] for metric in CLASSIFICATION_METRICS]
    titles.insert(nominal, "nominal")
    header = ["regions", "classifier", "backbone", "embedding", "kinds", "images", *titles]
    return Table(title, header, cells, apart=True, meanings=MEANINGS)


def classification_notes(documents: Sequence[Mapping[str, Any]], metrics: pd.DataFrame) -> list[str]:
    """The notes on categories and classifiers, each once, and the categories that are missing in the means.

    Args:
        documents: evaluations of classifiers.
        metrics: the frame of classification_metrics.csv made of them.
    """
    there = [document for document in documents if not is_missing(document)]
    said: dict[tuple[str, str], list[str]] = {}
    for document in there:
        for sentence in _sentences(document):
            said.setdefault((document["category"], sentence), []).append(document["classifier"])
    notes = [f"{category}, {', '.join(classifiers)}: {sentence}" for (category, sentence), classifiers in said.items()]
    total = len({document["category"] for document in documents})
    of_means = metrics[(metrics["category"] == MEAN) & ~metrics["missing"]]
    notes += [
        f"{row['classifier']}: the mean accuracy is over {row['categories']:.0f} of {total} categories."
        for row in rows_of(of_means)
        if 0 < row["categories"] < total
    ]
    return notes


def as_markdown(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """A Markdown document of the tables, explained, with the notes at its end."""
    return markdown_source("Defect types", [EXPLANATION], tables, notes)


def as_latex(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """LaTeX source of the tables; explanation and notes are comments."""
    return latex_source(tables, (EXPLANATION, *notes))


def _sentences(document: Mapping[str, Any]) -> list[str]:
    """The remarks of an evaluation, each once."""
    remarks = [remark for draw in document["draws"] for remark in draw["remarks"]]
    unknown = ", ".join(document["unknown_kinds"])
    return list(dict.fromkeys([*remarks, *([f"Without examples, so never predicted: {unknown}."] if unknown else [])]))


def _tables(setting: str, rows: pd.DataFrame) -> list[Table]:
    of_means = rows[rows["category"] == MEAN]
    if of_means.empty:
        categories = first_places(rows["category"])
        return [
            classifiers_table(f"{category}: {setting}", rows[rows["category"] == category]) for category in categories
        ]
    return [
        classifiers_table(f"Mean over categories: {setting}", of_means),
        *(_category_table(setting, metric, rows) for metric in BY_CATEGORY),
    ]


def _category_table(setting: str, metric: str, rows: pd.DataFrame) -> Table:
    """A table of one metric, with a row for each category and a column for each classifier."""
    classifiers = first_places(rows["classifier"])
    regions: dict[str, str] = dict(zip(rows["classifier"], rows["regions"], strict=True))
    found = {(row["category"], row["classifier"]): row for row in rows_of(rows)}
    return Table(
        f"{TITLES[metric].capitalize()} by category: {setting}",
        ["category", *classifiers],
        [
            ["regions", *(REGIONS.get(regions[name], regions[name]) for name in classifiers)],
            *(
                [category, *_side_by_side([found.get((category, name)) for name in classifiers], metric)]
                for category in first_places(rows["category"])
            ),
        ],
    )


def _side_by_side(rows: Sequence[Mapping[str, Any] | None], metric: str) -> list[Entry]:
    """A metric of one category for each classifier; empty if it has no result there."""
    there = [row for row in rows if row is not None]
    figures = iter(_figures(there, metric, [row[ALIKE] for row in there], beside=False))
    return ["" if row is None else entries_of(row, [next(figures)])[0] for row in rows]


def _figures(
    rows: Sequence[Mapping[str, Any]], metric: str, groups: Sequence[Any], *, beside: bool = True
) -> list[Figure]:
    """A metric of rows with deviation and interval, the best marked among those that can be compared."""
    sides = SIDES if beside and metric != BASELINE else ()
    figures = [figure_of(row, metric, sides) for row in rows]
    return marked(figures, list(map(str, groups))) if metric in COMPETING else figures


def figure_of(row: Mapping[str, Any], metric: str, sides: Sequence[str] = SIDES) -> Figure:
    """A metric of a row of classification_metrics.csv, with its limits and deviation, or some of them."""
    written = mean_number if metric == "set_size" else share
    return written(row[metric], *(row[f"{metric}_{side}"] for side in sides))


def _place_of(regions: str) -> int:
    return list(REGIONS).index(regions) if regions in REGIONS else len(REGIONS)


def _number_of_kinds(row: Mapping[str, Any]) -> Figure:
    return Figure(f"{row['kinds']:.3g}", row["kinds"])


def _number_of_images(row: Mapping[str, Any]) -> Figure:
    """The number of images behind the figures, and of all query images if these are more."""
    if row["measured"] == 0 == row["unknown"]:
        return count(row["queries"])
    beside = "" if row["measured"] == row["queries"] else f"of {row['queries']:.4g}"
    return Figure(f"{row['measured']:.4g}", row["measured"], beside)


def _nominal(row: Mapping[str, Any]) -> float:
    """The nominal coverage, if there is a coverage to compare."""
    return 1 - row["alpha"] if is_known(row[COVERAGE]) else math.nan
