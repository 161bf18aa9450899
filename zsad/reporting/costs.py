"""The page's tables of cost: what one more image takes, and what every stage took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from zsad.names import PER_IMAGE, REFERENCES
from zsad.reporting.results import MethodKey, method_order, number_of_cell, read_rows


@dataclass(frozen=True)
class Cost:
    """A row of ``cost.csv``: a stage of a method, over all categories; NaN where it was not seen.

    Attributes:
        detail: which images, or which refiner; may be empty.
        peak_mb: greatest memory of any category.
        shared: whether other methods use the same files.
    """

    key: MethodKey
    stage: str
    detail: str
    images: float
    seconds: float
    seconds_per_image: float
    peak_mb: float
    shared: bool


@dataclass(frozen=True)
class Total:
    """What a method costs.

    Attributes:
        references: seconds, once; NaN if it has no references.
    """

    method: str
    seconds_per_image: float
    peak_mb: float
    references: float


@dataclass(frozen=True)
class CostTable:
    """Totals by setting, and the stages by method."""

    totals: list[tuple[str, list[Total]]]
    stages: list[tuple[str, list[Cost]]]


def read_costs(path: Path) -> list[Cost]:
    """Read ``cost.csv``, in `method_order`, the stages of a method in the order of the table.

    Raises:
        DataError: absent, or not that table.
    """
    return sorted(read_rows(path, "costs", _cost), key=lambda cost: method_order(cost.key))


def cost_table(costs: Sequence[Cost], names: Mapping[MethodKey, str]) -> CostTable | None:
    """Totals and stages of the methods in ``names``; None if nothing was measured."""
    known = [cost for cost in costs if cost.key in names]
    of_stage = {(cost.key, cost.stage): cost for cost in known}
    totals = [
        (key.setting, _total(name, of_stage[key, PER_IMAGE], of_stage.get((key, REFERENCES))))
        for key, name in names.items()
        if (key, PER_IMAGE) in of_stage
    ]
    stages = [cost for cost in known if cost.stage not in (PER_IMAGE, REFERENCES)]
    if not totals and not stages:
        return None
    return CostTable(
        [(setting, [total for _, total in group]) for setting, group in groupby(totals, key=lambda pair: pair[0])],
        [(names[key], list(group)) for key, group in groupby(stages, key=lambda cost: cost.key)],
    )


def _total(name: str, per_image: Cost, references: Cost | None) -> Total:
    seconds = references.seconds if references else math.nan
    return Total(name, per_image.seconds_per_image, per_image.peak_mb, seconds)


def _cost(row: Mapping[str, str]) -> Cost:
    numbers = {column: number_of_cell(row[column]) for column in ("images", "seconds", "seconds_per_image", "peak_mb")}
    return Cost(
        MethodKey(row["setting"], row["method"], row["backbone"]),
        row["stage"],
        row["detail"],
        **numbers,
        shared=row["shared"] == "1",
    )
