"""The page's tables of refinement: masks before and after, what was helped and harmed, and the ceiling beside them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from zsad.names import MEAN, ORACLE
from zsad.reporting.numbers import shown, signed
from zsad.reporting.results import MethodKey, MetricsRow, evaluation_key

CHANGES = {"image_iou": "Image IoU", "image_dice": "Image Dice", "mask_f1": "Pixel F1"}
MOST_REASONS = 3
_COUNTED = ("found", "prompted", "accepted")

Reasons = Mapping[tuple[str, str], Counter[str]]
"""Why outlines were turned down, by method and refiner."""


@dataclass(frozen=True)
class Change:
    """A figure before and after; NaN where it is not known."""

    before: float
    after: float

    @property
    def gain(self) -> float:
        """After minus before, as shown, so that the printed numbers add up."""
        return round(self.after, 3) - round(self.before, 3)

    @property
    def text(self) -> str:
        """The gain with its sign; empty if there is none to tell."""
        return signed(self.gain)

    @property
    def direction(self) -> str:
        """``"up"``, ``"down"``, or empty."""
        if math.isnan(self.gain) or abs(self.gain) < 0.0005:
            return ""
        return "up" if self.gain > 0 else "down"


@dataclass(frozen=True)
class Line:
    """What one refiner does to one method's masks.

    Attributes:
        changes: in the order of `CHANGES`, those that any line has.
        helped, harmed: share of the defective images, NaN if there are none.
        good_area: mean share of a good image that is marked.
        found, accepted: regions; NaN if not known.
        reasons: why outlines were turned down, with how many, the most frequent first.
        more_reasons: how many regions were turned down for other reasons.
    """

    method: str
    refiner: str
    changes: tuple[Change, ...]
    helped: float
    harmed: float
    good_area: Change
    found: float
    accepted: float
    reasons: list[tuple[str, int]]
    more_reasons: int

    @property
    def accepted_share(self) -> float:
        """Share of the regions found; NaN without regions."""
        return self.accepted / self.found if self.found else math.nan


@dataclass(frozen=True)
class Ceiling:
    """What a segmentation model reaches with boxes from the truth.

    Attributes:
        values: in the order of `CHANGES`.
        boxes: regions that got a box.
    """

    segmenter: str
    values: tuple[float, ...]
    boxes: float


@dataclass(frozen=True)
class RefinementTable:
    """Lines by setting, and the ceilings.

    Attributes:
        columns: titles of the changes.
        measured: whether the truth is known, so that there are figures besides the regions.
        has_balance, has_good_area: whether any line says how many images are helped, and what is marked of good ones.
    """

    columns: list[str]
    groups: list[tuple[str, list[Line]]]
    ceilings: list[Ceiling]
    measured: bool
    has_balance: bool
    has_good_area: bool


def refinement_table(
    rows: Sequence[MetricsRow], names: Mapping[MethodKey, str], reasons: Reasons
) -> RefinementTable | None:
    """What refiners change, a line a method and refiner; None if there are no refiners.

    Args:
        rows: of ``refinement.csv``, of one category or the mean, in order.
        names: what each method is called.
    """
    of_methods = [row for row in rows if row.key in names]
    if not of_methods:
        return None
    changes = [name for name in CHANGES if any(_has(row, f"{name}_after") for row in rows)]
    groups = [
        (setting, [_line(row, names, reasons, changes) for row in members])
        for setting, members in groupby(of_methods, key=lambda row: row.key.setting)
    ]
    return RefinementTable(
        columns=[CHANGES[name] for name in changes],
        groups=groups,
        ceilings=[_ceiling(row, changes) for row in rows if row.key.method == ORACLE and _is_known(row)],
        measured=any(_is_known(row) or _has(row, "good_area_after") for row in of_methods),
        has_balance=any(_has(row, "helped") for row in of_methods),
        has_good_area=any(_has(row, "good_area_after") for row in of_methods),
    )


def regions_refined(
    results: Sequence[Mapping[str, Any]], mask_results: Sequence[Mapping[str, Any]]
) -> list[MetricsRow]:
    """What is known of refinement where no test image has a label: rows of regions, of categories and then their sum.

    Args:
        results: evaluations of scores, in order; ``mask_results``: of masks.
    """
    keys = {result["method"]: evaluation_key(result) for result in results}
    places = {method: place for place, method in enumerate(keys)}
    rows = [
        MetricsRow(
            category=result["category"],
            key=keys[result["method"]],
            refiner=result["refiner"],
            values={f"regions_{name}": float(result["regions"][name]) for name in _COUNTED},
        )
        for result in sorted(mask_results, key=lambda result: places[result["method"]])
    ]
    together: dict[tuple[MethodKey, str], Counter[str]] = {}
    for row in rows:
        together.setdefault((row.key, row.refiner), Counter()).update(row.values)
    return [*rows, *(MetricsRow(MEAN, key, refiner, dict(counts)) for (key, refiner), counts in together.items())]


def reasons_of(mask_results: Iterable[Mapping[str, Any]]) -> Reasons:
    """Why outlines were turned down, summed over the given evaluations of masks."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for result in mask_results:
        counted = found.setdefault((result["method"], result["refiner"]), Counter())
        counted.update(result["regions"]["reasons"])
    return found


def as_percent(share: float) -> str:
    """A share in percent, with a decimal below ten; ``n/a`` for NaN."""
    if math.isnan(share):
        return shown(share)
    digits = 0 if share >= 0.0995 or share == 0 else 1
    return f"{100 * share:.{digits}f}\u00a0%"


def _line(row: MetricsRow, names: Mapping[MethodKey, str], reasons: Reasons, changes: Sequence[str]) -> Line:
    counted = reasons.get((row.key.method, row.refiner), Counter())
    main = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_REASONS]
    return Line(
        method=names[row.key],
        refiner=row.refiner,
        changes=tuple(_change(row, name) for name in changes),
        helped=row.value("helped"),
        harmed=row.value("harmed"),
        good_area=_change(row, "good_area"),
        found=row.value("regions_found"),
        accepted=row.value("regions_accepted"),
        reasons=main,
        more_reasons=counted.total() - sum(number for _, number in main),
    )


def _change(row: MetricsRow, name: str) -> Change:
    return Change(row.value(f"{name}_before"), row.value(f"{name}_after"))


def _ceiling(row: MetricsRow, changes: Sequence[str]) -> Ceiling:
    return Ceiling(row.refiner, tuple(row.value(f"{name}_after") for name in changes), row.value("regions_prompted"))


def _is_known(row: MetricsRow) -> bool:
    return _has(row, "image_iou_after")


def _has(row: MetricsRow, column: str) -> bool:
    return not math.isnan(row.value(column))
