"""Tables of metrics that several sections use, and methods that rank worse than chance."""

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
RANKINGS = {"image_auroc": "images", "pixel_auroc": "pixels"}  # what each metric ranks
TYPE_METRICS = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro", "aupimo", "mask_f1", "region_recall")
THRESHOLDED = "none (thresholded map)"
_MASKS = (*MASK_METRICS, "mask_ratio")


class Backwards(NamedTuple):
    """A figure below chance: defective images or pixels get lower scores than normal ones.

    Attributes:
        method: its display name.
        metric, value: title of the metric, and figure with its interval.
        ranked: ``"images"`` or ``"pixels"``.
        defect_type: if the figure is for one defect type; otherwise empty.
        blind_to: anomalies that the method cannot see; may be empty.
    """

    method: str
    metric: str
    value: str
    ranked: str
    defect_type: str
    blind_to: str


def image_table(rows: pd.DataFrame) -> Table:
    """Metrics of image scores of one category or mean, one row for each method; no rows if no figure is known."""
    return _table("Images", one_row_a_method(rows), IMAGE_METRICS)


def decision_table(rows: pd.DataFrame) -> Table:
    """Decisions of the label-free threshold on images, otherwise as `image_table`."""
    return _table("Decisions", one_row_a_method(rows), DECISION_METRICS)


def pixel_table(rows: pd.DataFrame) -> Table:
    """Metrics of anomaly maps, otherwise as `image_table`."""
    return _table("Pixels", one_row_a_method(rows), PIXEL_METRICS)


def mask_table(rows: pd.DataFrame, regions: Mapping[tuple[str, str], str] | None = None) -> Table:
    """Metrics of masks, one row for each method and refiner.

    Args:
        regions: numbers of refined regions, in words, by method and refiner; adds a column.
    """
    table = _table("Masks", rows.replace({"refiner": {NO_REFINER: THRESHOLDED}}), _MASKS, "method", "refiner")
    if not regions:
        return table
    return with_column(table, "regions", [regions.get((str(row[1]), str(row[2])), "") for row in table.rows])


def type_table(rows: pd.DataFrame) -> Table:
    """Metrics of each defect type, in groups of types with one row for each method.

    The metrics of a type are those of its images together with all normal images; compare types with caution.
    """
    counts = dict(zip(rows["defect_type"][::-1], rows["images"][::-1], strict=True))
    meanings = {kind: f"{count:.0f} image{'' if count == 1 else 's'}" for kind, count in counts.items()}
    return metrics_table("Defect types", rows, TYPE_METRICS, apart="defect_type", meanings=meanings)


def backwards(rows: pd.DataFrame, blind_to: Mapping[str, str]) -> list[Backwards]:
    """The figures whose upper confidence limit is below chance.

    Args:
        rows: of one category, or of a mean, or of its defect types.
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
