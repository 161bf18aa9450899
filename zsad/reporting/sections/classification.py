"""The results of classifiers of defect types: accuracy, confusions and abstentions.

The section is separate from the results of detectors, because classifiers are trained on labelled defects.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from zsad.classification.splits import TEST
from zsad.names import MEAN, TITLES, setting_order
from zsad.reporting.class_evaluations import (
    ClassEvaluation,
    measure_of,
    regions_in_words,
    seeds_in_words,
    shown_row,
)
from zsad.reporting.class_groups import Row, groups_of
from zsad.reporting.class_pictures import Place, Thumbnail, thumbnails_of
from zsad.reporting.contents import Contents, Section
from zsad.tables.class_csv import kinds_of, metrics_frame
from zsad.tables.class_results import GROUND_TRUTH, Summary, class_results
from zsad.tables.classification_table import classifiers_table, figure_of
from zsad.tables.frames import rows_of
from zsad.tables.notation import NOTATION, with_interval
from zsad.tables.table import Figure, Table, without_unknown

TEMPLATE = "classification.html.jinja"
OF_ALL = "classification.of_all.html.jinja"
_NOT_MEASURED = "No image is labelled with a kind that has examples, so nothing is measured."
OVERVIEW_METRICS = ("accuracy", "majority", "coverage", "set_size", "singletons", "abstained")


def section(contents: Contents) -> Section | None:
    """All categories side by side; None without classifiers."""
    results = contents.classes.evaluations
    if not results:
        return None
    frame = _frame(results)
    means = frame[frame["category"] == MEAN]
    content = {
        "notation": NOTATION,
        "is_labelled": any(result["is_labelled"] for result in results),
        "overviews": [
            _overview("Each category", [result for result in results if result["regions"] != GROUND_TRUTH], frame),
            _overview(
                "Each category, with ground-truth regions, which are unknown in practice",
                [result for result in results if result["regions"] == GROUND_TRUTH],
                frame,
            ),
        ],
        "means": [_table(means, setting) for setting in reversed(_ordered_settings(results)) if len(means)],
    }
    return Section(OF_ALL, content, "kinds", "Defect types")


def of_category(contents: Contents, category: str, beside: str | None = None) -> Section | None:
    """The results of classifiers for one category; None if there are none.

    Args:
        beside: relative path from the page to the folder of pictures, as in
            `zsad.reporting.sections.contact_sheet.section`.
    """
    results = contents.classes.of(category)
    if not results:
        return None
    groups = {result["classifier"]: groups_of(result, contents.classes.count) for result in results}
    shown = [row for of_result in groups.values() for group in of_result for row in group.rows]
    supports = {support: path for (of, support), path in contents.classes.supports.items() if of == category}
    thumbnails = thumbnails_of(
        [place for row in shown for place in _places(row)], contents.sheets.get(category), supports, beside
    )
    frame = _frame(results)
    shown_settings = {shown_row(result)["setting"] for result in results}
    tables = {setting: _table(frame, setting) for setting in reversed(_ordered_settings(results))}
    rows = [row for result in results for row in result["images"]]
    classifiers = [
        {
            "name": result["classifier"],
            "anchor": f"{anchor_of(contents, category)}-{place}",
            "sentences": sentences(result),
            "confusion": contents.classes.confusions.get((category, result["classifier"])),
            "draw": result["draws"][result["shown"]],
            "groups": [
                {**group._asdict(), "rows": [_card(row, thumbnails) for row in group.rows]}
                for group in groups[result["classifier"]]
            ],
            "images": [_line(row) for row in result["images"]],
            "is_labelled": any(row["true"] for row in result["images"]),
        }
        for place, result in enumerate(results, start=1)
    ]
    content = {
        "category": category,
        "anchor": anchor_of(contents, category),
        "notation": NOTATION,
        "tables": [table for setting, table in tables.items() if setting in shown_settings],
        "others": [table for setting, table in tables.items() if setting not in shown_settings],
        "shots": contents.classes.shots.get(category),
        "uses_truth": any(result["regions"] == GROUND_TRUTH for result in results),
        "from_test": any(source == TEST for row in rows for source, _ in _places(row)[1:]),
        "is_labelled": any(result["is_labelled"] for result in results),
        "remarks": _remarks(results),
        "tile": _tile(thumbnails.values()),
        "classifiers": classifiers,
    }
    return Section(TEMPLATE, content)


def anchor_of(contents: Contents, category: str) -> str:
    """The anchor of the section of a category."""
    return f"kinds-{contents.categories.index(category) + 1}"


def sentences(result: ClassEvaluation) -> list[str]:
    """The result of a classifier in words; with labels, compared with always predicting the most frequent kind."""
    row = shown_row(result)
    accuracy = measure_of(row, "accuracy")
    if math.isnan(accuracy.value):
        return [_sorted_in_words(result), _NOT_MEASURED]
    majority = measure_of(row, "majority").value
    where = (row["setting"], seeds_in_words(row["seeds"]), regions_in_words(result["regions"]))
    found = (
        f"predicts the correct kind for {_percents(accuracy)} of the photographs, {_compared(accuracy, majority)} the "
        f"{100 * majority:.1f} % of always predicting {_most_frequent(result, row)} "
        f"({', '.join(filter(None, where))})."
    )
    return [found, *_sets_in_words(result, row)]


def _compared(accuracy: Summary, majority: float) -> str:
    """Compare an accuracy, by its limits, with that of always predicting the most frequent kind."""
    if math.isnan(accuracy.low + accuracy.high):
        return "compared with"
    if accuracy.low > majority:
        return "more than"
    return "less than" if accuracy.high < majority else "not clearly more than"


def _sets_in_words(result: ClassEvaluation, row: Mapping[str, Any]) -> list[str]:
    """The quality of the prediction sets in sentences; none if it is not measured."""
    coverage, single, none = (measure_of(row, name) for name in ("coverage", "singletons", "abstained"))
    if math.isnan(coverage.value):
        return []
    if measure_of(row, "set_size").value == len(result["kinds"]):
        return ["Its prediction sets always contain all kinds, so they give no information."]
    nominal = f"{100 * (1 - result['alpha']):.4g} %"
    sets = [
        f"Its prediction sets contain the true kind for {_percents(coverage)} of them (nominal: {nominal}); "
        f"{100 * single.value:.1f} % of the sets contain a single kind, and {100 * none.value:.1f} % are empty."
    ]
    unknown = measure_of(row, "unknown_abstained")
    if not math.isnan(unknown.value):
        kinds = ", ".join(result["unknown_kinds"])
        sets.append(f"It correctly abstains for {_percents(unknown)} of images of kinds without examples ({kinds}).")
    return sets


def _sorted_in_words(result: ClassEvaluation) -> str:
    """The numbers of images with one kind, several, or none, in words."""
    draw, images = result["draws"][result["shown"]], result["images"]
    sizes = np.array([len(row["prediction_set"]) for row in images])
    numbers = [f"{int((sizes == 1).sum())} get one kind", f"{int((sizes > 1).sum())} several"]
    return (
        f"sorts {len(images)} photographs into {len(result['kinds'])} kinds ({draw['setting']}, seed {draw['seed']}): "
        f"{', '.join(numbers)}, and {int((sizes == 0).sum())} none of the known kinds."
    )


def _percents(measure: Summary) -> str:
    """A share with its limits, e.g. ``"81.2 % (75.0–87.1)"``."""
    number, _, limits = with_interval(measure.value, measure.low, measure.high).partition(" ")
    return f"{number} % {limits}".rstrip()


def _most_frequent(result: ClassEvaluation, row: Mapping[str, Any]) -> str:
    """The most frequent kind among those with examples."""
    totals = [sum(line) for line in row["confusion"][: len(result["kinds"])]]
    return str(result["kinds"][int(np.argmax(totals))])


def _remarks(results: Sequence[ClassEvaluation]) -> list[dict[str, Any]]:
    """Each remark once, with its classifiers, and with the number of samples if it is not about all."""
    about: dict[str, list[dict[str, str]]] = {}
    for result in results:
        draws = result["draws"]
        for text in dict.fromkeys(remark for draw in draws for remark in draw["remarks"]):
            number = sum(text in draw["remarks"] for draw in draws)
            draws_in_words = "" if number == len(draws) else f"{number} of {len(draws)} samples"
            about.setdefault(text, []).append({"classifier": result["classifier"], "draws": draws_in_words})
    return [{"text": text, "about": classifiers} for text, classifiers in about.items()]


def _places(row: Row) -> list[Place]:
    """The places of an image's pictures: its own, and those of the nearest examples that are shown beside it."""
    nearest = [row["nearest"][kind] for kind in _compared_kinds(row)]
    return [(TEST, row["image_id"]), *((one["source"], one["image_id"]) for one in nearest)]


def _compared_kinds(row: Row) -> list[str]:
    """The kinds whose nearest example is shown beside an image: the true one, if it has examples, and the predicted."""
    kinds = [row["true"], row["predicted"]] if row["true"] in row["nearest"] else [row["predicted"]]
    return list(dict.fromkeys(kinds))


def _card(row: Row, thumbnails: Mapping[Place, Thumbnail]) -> dict[str, Any]:
    """An image with the examples beside it, and its result."""
    own, *nearest = _places(row)
    examples = [
        {
            "kind": kind,
            "is_true": kind == row["true"],
            "name": image_id if source == TEST else f"{source}: {image_id}",
            "similarity": row["nearest"][kind]["similarity"],
            "picture": thumbnails.get((source, image_id)),
        }
        for kind, (source, image_id) in zip(_compared_kinds(row), nearest, strict=True)
    ]
    return {**_line(row), "picture": thumbnails.get(own), "examples": examples}


def _tile(pictures: Iterable[Thumbnail]) -> float:
    """Common aspect ratio of the frames of pictures, so that they are aligned; within limits."""
    ratios = [picture.width / picture.height for picture in pictures]
    return min(max(float(np.median(ratios)), 0.75), 1.8) if ratios else 1.0


def _line(row: Row) -> dict[str, Any]:
    """The result of an image, for a caption and for the list of all images."""
    nearest = row["nearest"][row["predicted"]]
    return {
        "image_id": row["image_id"],
        "true": row["true"],
        "predicted": row["predicted"],
        "is_wrong": bool(row["true"]) and row["true"] != row["predicted"],
        "was_shown": row["true"] in row["nearest"],
        "probability": row["probabilities"][row["predicted"]],
        "kinds": row["prediction_set"],
        "is_any": len(row["prediction_set"]) == len(row["nearest"]) > 2,
        "nearest": nearest["image_id"] if nearest["source"] == TEST else f"{nearest['source']}: {nearest['image_id']}",
        "similarity": nearest["similarity"],
    }


def _ordered_settings(results: Sequence[ClassEvaluation]) -> list[str]:
    """The settings of all results, the fewest shots first."""
    return sorted({row["setting"] for result in results for row in result["by_shots"]}, key=setting_order)


def _overview(title: str, results: Sequence[ClassEvaluation], frame: pd.DataFrame) -> Table:
    """One row for each category and classifier, in the setting that is shown elsewhere."""
    shown = {(result["category"], result["classifier"], shown_row(result)["setting"]) for result in results}
    rows = [row for row in rows_of(frame) if (row["category"], row["classifier"], row["setting"]) in shown]
    cells = [
        [
            *(row["category"], row["classifier"], row["setting"], regions_in_words(row["regions"]) or "whole image"),
            *(figure_of(row, metric) for metric in OVERVIEW_METRICS),
        ]
        for row in rows
    ]
    header = ["category", "classifier", "setting", "regions", *(TITLES[metric] for metric in OVERVIEW_METRICS)]
    return without_unknown(Table(title, header, cells, apart=True))


def _frame(results: Sequence[ClassEvaluation]) -> pd.DataFrame:
    return metrics_frame(class_results(results), kinds_of(results))


def _table(frame: pd.DataFrame, setting: str) -> Table:
    """The classifiers of one category in one setting; none is marked as the best of all, because regions differ."""
    table = without_unknown(classifiers_table(setting, frame[frame["setting"] == setting]))
    rows = [
        [replace(entry, best_of_all=False) if isinstance(entry, Figure) else entry for entry in row]
        for row in table.rows
    ]
    return replace(table, rows=rows)
