"""The decisions of a whole run: one row for each category and method, and their means.

The figures are those of metrics.csv without a refiner, because refiners do not decide. The table also has the threshold
rule, its nominal false-alarm rate, and the number of images called defective, which is known without labels: in the row
of a mean the sum over its categories, for a method with several seeds the mean over these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zsad.files.json_values import number
from zsad.names import MEAN, NO_REFINER, TITLES
from zsad.tables.csv_tables import DECISION_KEYS, DECISIONS
from zsad.tables.frames import in_groups, rows_of
from zsad.tables.metrics_table import compared_figures, display_name, entries_of
from zsad.tables.missing import is_missing
from zsad.tables.table import Figure, Table, share

TITLE = "Decisions: images called defective, without labels"
NOTE = (
    "Nominal: share of normal images that the rule expects to call defective. False alarms: share of normal images "
    "that it does call defective. Found: share of defective images called defective. F1 / F1-max: F1 of the decisions "
    "divided by the greatest F1 of any threshold on the image scores, which is chosen with the labels; SegF1 / F1-max: "
    "the same for marked pixels. The ratio may exceed 100, because decisions use peaks and not scores. Called: images "
    "called defective, of all."
)
FIGURES = ("decision_fpr", "decision_recall", "decision_f1", "decision_ratio", "mask_ratio")


def decisions_frame(evaluations: Sequence[Mapping[str, Any]], metrics: pd.DataFrame) -> pd.DataFrame:
    """The frame of decisions.csv: categories, then the means over them, in the order of metrics.csv.

    Args:
        evaluations: of the scores.
        metrics: the frame of metrics.csv of the same run, with the figures.
    """
    of_maps = metrics[(metrics["refiner"] == NO_REFINER) & metrics["category"].isin([MEAN, *_categories(evaluations)])]
    rows = ((row, _members(evaluations, row)) for row in rows_of(of_maps))
    return DECISIONS.frame(_row(row, members) for row, members in rows if members)


def decisions_table(rows: pd.DataFrame, title: str = TITLE) -> Table:
    """The table to read, one row for each category and method; methods of one setting compete in each category.

    Args:
        rows: rows of decisions.csv.
    """
    ordered = in_groups(rows, "category", "setting")
    records = rows_of(ordered)
    places = [f"{row['category']}: {row['setting']}" for row in records]
    columns = [compared_figures(records, metric, places) for metric in FIGURES]
    cells = [
        [
            *(row["category"], row["setting"], display_name(row), row["rule"]),
            *entries_of(row, [share(row["nominal"]), *(column[place] for column in columns), _called(row)]),
        ]
        for place, row in enumerate(records)
    ]
    header = ["category", "setting", "method", "rule", "nominal", *(TITLES[name] for name in FIGURES), "called"]
    return Table(title, header, cells, NOTE, apart=True)


def _categories(evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(evaluation["category"] for evaluation in evaluations))


def _members(evaluations: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The evaluations behind a row: one, or those of all seeds or categories."""
    return [
        evaluation
        for evaluation in evaluations
        if row["category"] in (MEAN, evaluation["category"])
        and row["method"] in (evaluation["method"], evaluation["group"])
    ]


def _row(row: Mapping[str, Any], members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = {key: row[key] for key in DECISION_KEYS}
    if row["missing"] or any(map(is_missing, members)):
        return {**names, "missing": True}
    decided = [member["decision"] for member in members]
    return {
        **names,
        "rule": _one_of(decision["rule"] for decision in decided),
        "measure": _one_of(decision["measure"] for decision in decided),
        "nominal": np.mean([number(decision["nominal"]) for decision in decided]),
        **{name: row[name] for name in FIGURES},
        "called": sum(decision["called"] for decision in decided) / row["seeds"],
        "images": sum(decision["images"] for decision in decided) / row["seeds"],
        "categories": len({member["category"] for member in members}),
        "seeds": row["seeds"],
        "remarks": " ".join(dict.fromkeys(remark for decision in decided for remark in decision["remarks"])),
    }


def _one_of(names: Iterable[str]) -> str:
    """The common name, or all names."""
    return ", ".join(dict.fromkeys(filter(None, names)))


def _called(row: Mapping[str, Any]) -> Figure:
    return Figure(f"{row['called']:.4g}", row["called"], f"of {row['images']:.0f}")
