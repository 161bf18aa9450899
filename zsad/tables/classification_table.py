"""What classifiers of kinds are worth, as tables to read: one for each number of shots, which are never mixed."""

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
    REGIONS["image"]: "The classifier looks at the whole image.",
    REGIONS["predicted"]: "It looks where a method's map, or a refiner's mask, says that the defect is.",
    REGIONS[GROUND_TRUTH]: "It looks where the ground truth says so, which nobody has who inspects parts.",
}
COMPETING = ("accuracy", "balanced_accuracy", "macro_f1")  # the others do not say by themselves what is good
SIDES = ("low", "high", "deviation")
BASELINE = "majority"  # stands alone, as nobody asks how sure it is
BY_CATEGORY = ("accuracy", "balanced_accuracy", COVERAGE)
EXPLANATION = (
    f"{NOTATION} Which kind of defect an image shows, learnt from labelled examples: few-shot-defects-K has seen K of "
    "each kind, which is a setting of its own and no zero-shot. Support and calibration images are in no figure. "
    "Images: those of a seed whose kind was among those shown, or all where none is labelled. Majority kind: what is "
    "right if the most frequent kind is always named. Coverage: the share of the images whose prediction set holds "
    "their kind, which should be the nominal one at least. Set size: kinds in such a set, a number. Single answers: "
    "sets of one kind. Abstained: empty sets; of unknown kinds, which were not shown, they are the right answer. The "
    "best figure is bold and the second underlined among those of the same images and kinds, apart where the regions "
    "come from the ground truth. Of several seeds, figures are means. Means over categories weigh every one alike; "
    "their limits follow from those of the categories (Zou and Donner, 2008). docs/metrics.md defines every metric."
)


def classification_tables(metrics: pd.DataFrame) -> list[Table]:
    """For each setting a table of the classifiers; over several categories of the means, and one a metric of each.

    Args:
        metrics: the frame of classification_metrics.csv.
    """
    settings = sorted(filter(None, first_places(metrics["setting"])), key=setting_order)
    return [table for setting in settings for table in _tables(setting, metrics[metrics["setting"] == setting])]


def classifiers_table(title: str, rows: pd.DataFrame) -> Table:
    """A row a classifier, set apart by where they look; of one category or mean, and one setting."""
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
    """What is said of categories and classifiers, once each, and which categories the means leave out.

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
    return markdown_source("Kinds of defect", [EXPLANATION], tables, notes)


def as_latex(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """LaTeX source of the tables; explanation and notes are comments."""
    return latex_source(tables, (EXPLANATION, *notes))


def _sentences(document: Mapping[str, Any]) -> list[str]:
    """What an evaluation remarks, each once."""
    remarks = [remark for draw in document["draws"] for remark in draw["remarks"]]
    unknown = ", ".join(document["unknown_kinds"])
    return list(dict.fromkeys([*remarks, *([f"Not shown, and so never named: {unknown}."] if unknown else [])]))


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
    """A metric, a row a category and a column a classifier."""
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
    """A metric of one category by the classifiers; empty for one that has no result there."""
    there = [row for row in rows if row is not None]
    figures = iter(_figures(there, metric, [row[ALIKE] for row in there], beside=False))
    return ["" if row is None else entries_of(row, [next(figures)])[0] for row in rows]


def _figures(
    rows: Sequence[Mapping[str, Any]], metric: str, groups: Sequence[Any], *, beside: bool = True
) -> list[Figure]:
    """A metric of rows with what stands beside it, the best marked among those that may be compared."""
    sides = SIDES if beside and metric != BASELINE else ()
    figures = [figure_of(row, metric, sides) for row in rows]
    return marked(figures, list(map(str, groups))) if metric in COMPETING else figures


def figure_of(row: Mapping[str, Any], metric: str, sides: Sequence[str] = SIDES) -> Figure:
    """A metric of a row of classification_metrics.csv, with its limits and deviation, or some of them beside it."""
    written = mean_number if metric == "set_size" else share
    return written(row[metric], *(row[f"{metric}_{side}"] for side in sides))


def _place_of(regions: str) -> int:
    return list(REGIONS).index(regions) if regions in REGIONS else len(REGIONS)


def _number_of_kinds(row: Mapping[str, Any]) -> Figure:
    return Figure(f"{row['kinds']:.3g}", row["kinds"])


def _number_of_images(row: Mapping[str, Any]) -> Figure:
    """Images that figures are of, and of how many whose kind is to be found out where that is not all."""
    if row["measured"] == 0 == row["unknown"]:
        return count(row["queries"])
    beside = "" if row["measured"] == row["queries"] else f"of {row['queries']:.4g}"
    return Figure(f"{row['measured']:.4g}", row["measured"], beside)


def _nominal(row: Mapping[str, Any]) -> float:
    """The coverage that the sets are made for, where there is one to compare."""
    return 1 - row["alpha"] if is_known(row[COVERAGE]) else math.nan
