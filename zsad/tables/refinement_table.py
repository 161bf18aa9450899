"""The effect of refinement in a whole run: one row for each category, defect type, method and refiner, and their means.

As everywhere, a mean over categories gives every category the same weight and is over those with a value; images and
regions are summed. A method with several seeds has a row for each, and one with the means over them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from zsad.evaluation.measured import first_places, is_known, mean_of_known
from zsad.evaluation.refinement import COUNTS, MATERIAL_CHANGE, VALUES
from zsad.files.json_values import number
from zsad.names import ALL_TYPES, MEAN, ORACLE
from zsad.tables.csv_tables import REFINEMENT
from zsad.tables.frames import rows_of
from zsad.tables.metrics_table import display_name, entries_of
from zsad.tables.missing import is_missing
from zsad.tables.results import KEYS, grouped
from zsad.tables.table import Entry, Figure, Table, change, share

Row = dict[str, Any]
Reasons = Mapping[tuple[str, str], Counter[str]]
"""Reasons for rejected outlines, by method and refiner."""

MOST_REASONS = 3
_CHANGES = {"image_iou": "image IoU", "image_dice": "image Dice", "mask_f1": "SegF1", "good_area": "normal marked"}
_CEILINGS = {"image_iou": "image IoU", "image_dice": "image Dice", "mask_f1": "SegF1", "mask_iou": "pixel IoU"}
NOTE = (
    "From the thresholded map (before) to the refiner's masks (after). Image IoU and Dice are means over the "
    "defective images, SegF1 is pooled over the pixels of a category; normal marked is the mean marked share of a "
    "normal image, which should be 0. Helped and harmed: the share of defective images whose "
    f"IoU rises, or falls, by more than {MATERIAL_CHANGE:g}. Accepted: the share of the regions found whose new "
    "outline replaced the old one."
)
CEILING_NOTE = (
    "An upper limit, not a method: the segmentation model gets the true box of every defect region and chooses one of "
    "its own outlines. It is not a strict bound: points, or another choice of the outline, may give better results."
)
NO_EFFECT: Mapping[str, Any] = MappingProxyType(
    {
        "defect_type": ALL_TYPES,
        "values": dict.fromkeys(VALUES),
        "counts": dict.fromkeys(COUNTS, 0),
        "reasons": {},
    }
)


def refinement_frame(
    evaluations: Sequence[Mapping[str, Any]],
    refinements: Sequence[Mapping[str, Any]],
    oracles: Sequence[Mapping[str, Any]] = (),
) -> pd.DataFrame:
    """The frame of refinement.csv: categories, with all defect types before each single one, then means over them.

    Args:
        evaluations: of the scores, at least for the method of every refinement.
        refinements: of masks.
        oracles: of masks by boxes from the ground truth; they come after the methods.
    """
    scored = {(evaluation["category"], evaluation["method"]): evaluation for evaluation in evaluations}
    rows = [
        row
        for refinement in refinements
        for row in _rows(refinement, scored[refinement["category"], refinement["method"]])
    ]
    rows += [row for oracle in oracles for row in _rows(oracle, oracle)]
    places = {name: first_places(row[name] for row in rows) for name in ("category", "method", "refiner")}
    rows.sort(key=lambda row: [place[row[name]] for name, place in places.items()])
    of_categories = [row for row in rows if row["defect_type"] == ALL_TYPES]
    means = [_mean(group) for group in grouped(of_categories, lambda row: (row["method"], row["refiner"]))]
    together = [*_with_seeds_together(rows), *_with_seeds_together(means)]
    return REFINEMENT.frame({**row, "reasons": _in_words(row["reasons"])} for row in together)


def refinement_table(
    rows: pd.DataFrame, title: str = "Refinement: mean over categories", reasons: Reasons | None = None
) -> Table:
    """The changes by refiners, one row for each method and refiner.

    Args:
        rows: of one category or mean; the oracle is left out.
        reasons: adds a column with the reasons for rejected outlines.
    """
    of_methods = rows_of(rows[rows["method"] != ORACLE])
    header = ["setting", "method", "refiner", *_CHANGES.values(), "helped", "harmed", "accepted"]
    cells = [
        [row["setting"], display_name(row), row["refiner"], *entries_of(row, _effects(row)), *_rejections(row, reasons)]
        for row in of_methods
    ]
    header += ["rejected"] if reasons is not None else []
    return Table(title, header, cells, NOTE, apart=True)


def ceiling_table(rows: pd.DataFrame, title: str = "With boxes from the ground truth: mean over categories") -> Table:
    """The results of segmentation models with boxes from the ground truth, of one category or mean."""
    oracles = rows[(rows["method"] == ORACLE) & (rows["image_iou_after"].notna() | rows["missing"])]
    cells = [
        [row["refiner"], *entries_of(row, [share(row[f"{name}_after"]) for name in _CEILINGS])]
        for row in rows_of(oracles)
    ]
    return Table(title, ["segmentation model", *_CEILINGS.values()], cells, CEILING_NOTE)


def reasons_of(refinements: Sequence[Mapping[str, Any]]) -> Reasons:
    """The reasons for rejected outlines, summed over evaluations of masks."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for result in refinements:
        found.setdefault((result["method"], result["refiner"]), Counter()).update(result["regions"]["reasons"])
    return found


def _effects(row: Row) -> list[Figure]:
    found = row["regions_found"]
    accepted = row["regions_accepted"] / found if found else np.nan
    return [
        *(change(row[f"{name}_before"], row[f"{name}_after"], less_is_better=name == "good_area") for name in _CHANGES),
        *(share(row[name], bar=name) for name in ("helped", "harmed")),
        share(accepted, total=found),
    ]


def _rejections(row: Row, reasons: Reasons | None) -> list[Entry]:
    """The most frequent reasons in words."""
    if reasons is None:
        return []
    counted = reasons.get((row["method"], row["refiner"]), Counter())
    main = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_REASONS]
    others = counted.total() - sum(count for _, count in main)
    words = [*(f"{count} {reason}" for reason, count in main), *([f"{others} for other reasons"] if others else [])]
    return [", ".join(words)]


def _in_words(reasons: Counter[str]) -> str:
    return "; ".join(f"{cause}: {count}" for cause, count in reasons.most_common())


def _rows(refinement: Mapping[str, Any], named_by: Mapping[str, Any]) -> list[Row]:
    names = {key: named_by[key] for key in KEYS if key != "refiner"}
    return [
        {
            **names,
            "refiner": refinement["refiner"],
            "defect_type": effect["defect_type"],
            **{name: number(effect["values"][name]) for name in VALUES},
            **{name: effect["counts"][name] for name in COUNTS},
            "reasons": Counter(effect["reasons"]),
            "categories": int(is_known(number(effect["values"]["image_iou_after"]))),
            "group": named_by.get("group", ""),
            "seeds": 1,
            "missing": is_missing(refinement),
        }
        for effect in ([NO_EFFECT] if is_missing(refinement) else refinement["effects"])
    ]


def _mean(group: Sequence[Row]) -> Row:
    """The macro mean of one method and refiner over its categories."""
    return {
        **group[0],
        "category": MEAN,
        **_mean_values(group),
        **{name: sum(row[name] for row in group) for name in (*COUNTS, "categories")},
        "reasons": sum((row["reasons"] for row in group), Counter()),
    }


def _with_seeds_together(rows: Sequence[Row]) -> list[Row]:
    """The rows, and after the last seed of each method and category the means over its seeds."""
    together: list[Row] = []
    for same in grouped(rows, lambda row: (row["category"], row["group"] or row["method"])):
        together += same
        if same[0]["group"]:
            of_seeds = grouped(same, lambda row: (row["refiner"], row["defect_type"]))
            together += [_seeds_mean(members) for members in of_seeds]
    return together


def _seeds_mean(group: Sequence[Row]) -> Row:
    return {
        **group[0],
        "method": group[0]["group"],
        "group": "",
        **_mean_values(group),
        **{name: float(np.mean([row[name] for row in group])) for name in COUNTS},
        "reasons": Counter(),
        "seeds": len(group),
    }


def _mean_values(group: Sequence[Row]) -> Row:
    missing = any(row["missing"] for row in group)
    values = {name: np.nan if missing else mean_of_known(row[name] for row in group) for name in VALUES}
    return {**values, "missing": missing}
