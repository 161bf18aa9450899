"""What refinement does over a whole run: one result a category, type of defect, method and refiner, and their means.

As everywhere, a mean over categories weighs every category alike and is taken over those that have a value; images and
regions are summed. Of a method with several seeds there is a result for each, and one with the means over them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from zsad.evaluation.measured import is_known, mean_of_known
from zsad.evaluation.refinement import COUNTS, VALUES
from zsad.files.json_values import number
from zsad.names import ALL_TYPES, MEAN
from zsad.tables.missing import is_missing
from zsad.tables.results import KEYS, grouped, in_order

NO_EFFECT: Mapping[str, Any] = MappingProxyType(
    {
        "defect_type": ALL_TYPES,
        "values": dict.fromkeys(VALUES),
        "counts": dict.fromkeys(COUNTS, 0),
        "reasons": {},
    }
)


@dataclass(frozen=True)
class RefinementResult:
    """What one refiner does to one method's masks.

    Attributes:
        defect_type: `ALL_TYPES` for all images of the category.
        values: by the names of `zsad.evaluation.refinement.VALUES`; NaN where not known.
        counts: by the names of `zsad.evaluation.refinement.COUNTS`; of a mean over seeds the mean.
        reasons: why outlines were turned down, with how many; none for a mean over seeds.
        categories: categories behind the values.
        group: the method of which this one is a seed; empty if it is none.
        seeds: how many seeds the values are means over.
        missing: whether it was not made, or is a mean and a result of which it is was not; then it has no figures.
    """

    dataset: str
    category: str
    backbone: str
    method: str
    setting: str
    refiner: str
    protocol: str
    defect_type: str
    values: Mapping[str, float]
    counts: Mapping[str, float]
    reasons: Counter[str]
    categories: int
    group: str = ""
    seeds: int = 1
    missing: bool = False

    @property
    def accepted_share(self) -> float:
        """Share of the regions found whose new outline replaced the old; NaN without regions."""
        found = self.counts["regions_found"]
        return self.counts["regions_accepted"] / found if found else np.nan


def refinement_results(
    evaluations: Sequence[Mapping[str, Any]],
    refinements: Sequence[Mapping[str, Any]],
    oracles: Sequence[Mapping[str, Any]],
) -> list[RefinementResult]:
    """All results: of the categories, all types of defect before each single one, then the means over categories.

    Args:
        evaluations: of the scores of every refinement's method, at least.
        refinements: of masks.
        oracles: of masks by boxes from the truth; they come after the methods.
    """
    scored = {(evaluation["category"], evaluation["method"]): evaluation for evaluation in evaluations}
    of_methods = [
        result
        for refinement in refinements
        for result in _results(refinement, scored[refinement["category"], refinement["method"]])
    ]
    results = in_order([*of_methods, *(result for oracle in oracles for result in _results(oracle, oracle))])
    of_categories = [result for result in results if result.defect_type == ALL_TYPES]
    means = [_mean(group) for group in grouped(of_categories, lambda result: (result.method, result.refiner))]
    return [*_with_seeds_together(results), *_with_seeds_together(means)]


def _results(refinement: Mapping[str, Any], named_by: Mapping[str, Any]) -> list[RefinementResult]:
    names = {key: named_by[key] for key in KEYS if key != "refiner"}
    return [
        RefinementResult(
            **names,
            refiner=refinement["refiner"],
            defect_type=effect["defect_type"],
            values={name: number(effect["values"][name]) for name in VALUES},
            counts={name: effect["counts"][name] for name in COUNTS},
            reasons=Counter(effect["reasons"]),
            categories=int(is_known(number(effect["values"]["image_iou_after"]))),
            group=named_by.get("group", ""),
            missing=is_missing(refinement),
        )
        for effect in ([NO_EFFECT] if is_missing(refinement) else refinement["effects"])
    ]


def _mean(group: Sequence[RefinementResult]) -> RefinementResult:
    """The macro mean of one method and refiner over its categories."""
    return replace(
        group[0],
        category=MEAN,
        missing=any(result.missing for result in group),
        values=_mean_values(group),
        counts={name: sum(result.counts[name] for result in group) for name in COUNTS},
        reasons=sum((result.reasons for result in group), Counter()),
        categories=sum(result.categories for result in group),
    )


def _with_seeds_together(results: Sequence[RefinementResult]) -> list[RefinementResult]:
    """The results, and after the last seed of each method and category the means over its seeds."""
    together: list[RefinementResult] = []
    for same in grouped(results, lambda result: (result.category, result.group or result.method)):
        together += same
        if same[0].group:
            of_seeds = grouped(same, lambda result: (result.refiner, result.defect_type))
            together += [_seeds_mean(members) for members in of_seeds]
    return together


def _seeds_mean(group: Sequence[RefinementResult]) -> RefinementResult:
    return replace(
        group[0],
        method=group[0].group,
        group="",
        values=_mean_values(group),
        counts={name: float(np.mean([result.counts[name] for result in group])) for name in COUNTS},
        reasons=Counter(),
        seeds=len(group),
        missing=any(result.missing for result in group),
    )


def _mean_values(group: Sequence[RefinementResult]) -> dict[str, float]:
    if any(result.missing for result in group):
        return dict.fromkeys(VALUES, np.nan)
    return {name: mean_of_known(result.values[name] for result in group) for name in VALUES}
