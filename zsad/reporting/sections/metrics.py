"""Tables of metrics as several sections show them, and where a method ranks backwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from zsad.names import DECISION_METRICS, IMAGE_METRICS, MASK_METRICS, NO_REFINER, PIXEL_METRICS
from zsad.reporting.evaluations import METRIC_TITLES
from zsad.reporting.results import interval_of, one_row_a_method
from zsad.reporting.settings_in_words import what_each_sees
from zsad.tables.frames import rows_of
from zsad.tables.metrics_table import metrics_table
from zsad.tables.notation import with_interval
from zsad.tables.table import Table, with_column

CHANCE = 0.5
RANKINGS = {"image_auroc": "images", "pixel_auroc": "pixels"}  # what each ranks
TYPE_METRICS = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro", "aupimo", "mask_f1", "region_recall")
THRESHOLDED = "none (what stands out)"
_MASKS = (*MASK_METRICS, "mask_ratio")


class Backwards(NamedTuple):
    """A figure that says that what is defective looks more ordinary to a method than what is good.

    Attributes:
        method: what it is called.
        metric, value: title, and figure with its interval.
        ranked: ``"images"`` or ``"pixels"``.
        defect_type: if the figure is of one type of defect.
        blind_to: what the method cannot see; may be empty.
    """

    method: str
    metric: str
    value: str
    ranked: str
    defect_type: str
    blind_to: str


def image_table(rows: pd.DataFrame) -> Table:
    """Metrics of image scores of one category, or of a mean, a row a method; without rows if no figure is known."""
    return _table("Images", one_row_a_method(rows), IMAGE_METRICS)


def decision_table(rows: pd.DataFrame) -> Table:
    """What the label-free threshold decides about images, otherwise as `image_table`."""
    return _table("Decisions", one_row_a_method(rows), DECISION_METRICS)


def pixel_table(rows: pd.DataFrame) -> Table:
    """Metrics of anomaly maps, otherwise as `image_table`."""
    return _table("Pixels", one_row_a_method(rows), PIXEL_METRICS)


def mask_table(rows: pd.DataFrame, regions: Mapping[tuple[str, str], str] | None = None) -> Table:
    """How well the masks fit, a row a method and refiner.

    Args:
        regions: how many were refined, in words, by method and refiner; adds a column.
    """
    table = _table("Masks", rows.replace({"refiner": {NO_REFINER: THRESHOLDED}}), _MASKS, "method", "refiner")
    if not regions:
        return table
    return with_column(table, "regions", [regions.get((str(row[1]), str(row[2])), "") for row in table.rows])


def type_table(rows: pd.DataFrame) -> Table:
    """How each type of defect is found, types in groups and a row a method.

    The metrics of a type are those of its images with all good ones, so that types compare with caution.
    """
    counts = dict(zip(rows["defect_type"][::-1], rows["images"][::-1], strict=True))
    meanings = {kind: f"{count:.0f} image{'' if count == 1 else 's'}" for kind, count in counts.items()}
    return metrics_table("Types of defect", rows, TYPE_METRICS, apart="defect_type", meanings=meanings)


def backwards(rows: pd.DataFrame, blind_to: Mapping[str, str]) -> list[Backwards]:
    """The figures that are below chance together with their upper limits.

    Args:
        rows: of one category, or of a mean, or of its types of defect.
        blind_to: by method.
    """
    return [
        Backwards(
            row["method"],
            METRIC_TITLES[metric],
            with_interval(row[metric], *interval_of(row, metric)),
            ranked,
            row.get("defect_type", ""),
            blind_to.get(row["method"], ""),
        )
        for row in rows_of(rows)
        for metric, ranked in RANKINGS.items()
        if row[metric] < CHANCE and row[f"{metric}_high"] < CHANCE  # both are false for NaN
    ]


def _table(title: str, rows: pd.DataFrame, metrics: tuple[str, ...], *keys: str) -> Table:
    return metrics_table(title, rows, metrics, keys or ("method",), meanings=what_each_sees(rows["setting"]))
