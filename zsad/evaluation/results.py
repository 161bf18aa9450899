"""The results of a run, one a category, method and refiner, and their means over categories.

A mean is the macro mean: every category weighs alike. It is taken over the categories that have a value, and says how
many these were. Methods that differ in the seed alone have a result of their own each, and one together: the mean over
the seeds, with the standard deviation. The oracle, prompts from the ground truth, stands among the results as a method
of that name with a mean of its own; it has no scores and takes no part in the means of others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from zsad.errors import DataError
from zsad.evaluation.bootstrap import UNKNOWN, Confidence, mean_confidence
from zsad.evaluation.ranking import RANKING_METRICS
from zsad.store import MEAN, NO_REFINER, number

Item = TypeVar("Item")

MASK_METRICS = ("mask_precision", "mask_recall", "mask_f1", "mask_iou")
DECISION_METRICS = (*MASK_METRICS, "decision_f1")
KEYS = ("dataset", "category", "backbone", "method", "setting", "refiner")
MASK_KEYS = ("category", "method", "refiner", "mask", "effects", "notes")
ORACLE_KEYS = (*KEYS, "mask", "effects", "notes")
SCORE_KEYS = (
    *("dataset", "category", "backbone", "method", "group", "setting", "image_threshold", "images", "notes"),
    *("metrics", "confidence", "standard_error", "decision", "mask"),
)


@dataclass(frozen=True)
class Result:
    """What is known of one method on one category, with one refiner's masks.

    Attributes:
        values: every metric by its column name; NaN where it is not known.
        confidence: of the ranking metrics.
        categories: categories behind the image metrics.
        pixel_categories: categories behind the pixel metrics.
        group: the method of which this one is a seed; empty if it is none.
        seeds: how many seeds the values are means over.
        deviation: standard deviation over the seeds of every metric by its column name; empty for one seed.
    """

    dataset: str
    category: str
    backbone: str
    method: str
    setting: str
    refiner: str
    values: Mapping[str, float]
    confidence: Mapping[str, Confidence]
    categories: int
    pixel_categories: int
    group: str = ""
    seeds: int = 1
    deviation: Mapping[str, float] = field(default_factory=dict)


def results_of(
    evaluations: Sequence[Mapping[str, Any]],
    refinements: Sequence[Mapping[str, Any]],
    oracles: Sequence[Mapping[str, Any]] = (),
) -> list[Result]:
    """One result a category, method and refiner, in the order in which each of these first appears.

    The thresholded map itself is the refiner ``none``. A refiner's result keeps the metrics of the scores and has its
    own of the mask. Oracles come last, with metrics of the mask and no others.

    Raises:
        DataError: masks come without their scores.
    """
    results = [_result(evaluation) for evaluation in evaluations]
    of_scores = {(result.category, result.method): result for result in results}
    for refinement in refinements:
        category, method = refinement["category"], refinement["method"]
        scored = of_scores.get((category, method))
        if scored is None:
            raise DataError(f"method '{method}' has masks on '{category}' but no scores; evaluate its scores too")
        values = {**scored.values, **_mask_values(refinement)}
        results.append(replace(scored, refiner=refinement["refiner"], values=values))
    results += [_oracle_result(oracle) for oracle in oracles]
    return in_order(results)


def in_order(results: Sequence[Item]) -> list[Item]:
    """Results by category, method and refiner, in the order in which each first appears; otherwise as they are."""
    category, method, refiner = (
        first_places(getattr(result, name) for result in results) for name in ("category", "method", "refiner")
    )
    return sorted(
        results, key=lambda result: (category[result.category], method[result.method], refiner[result.refiner])
    )


def _result(evaluation: Mapping[str, Any]) -> Result:
    ranking = {metric: number(evaluation["metrics"][metric]) for metric in RANKING_METRICS}
    confidence = {
        metric: Confidence(
            *(number(limit) for limit in evaluation["confidence"][metric]),
            number(evaluation["standard_error"][metric]),
        )
        for metric in RANKING_METRICS
    }
    return Result(
        **{key: evaluation[key] for key in KEYS if key != "refiner"},
        refiner=NO_REFINER,
        values=ranking | _mask_values(evaluation) | {"decision_f1": number(evaluation["decision"]["f1"])},
        confidence=confidence,
        categories=int(is_known(ranking["image_auroc"])),
        pixel_categories=int(is_known(ranking["pixel_auroc"])),
        group=evaluation["group"],
    )


def _oracle_result(oracle: Mapping[str, Any]) -> Result:
    masks = _mask_values(oracle)
    return Result(
        **{key: oracle[key] for key in KEYS},
        values=dict.fromkeys(RANKING_METRICS, np.nan) | masks | {"decision_f1": np.nan},
        confidence=dict.fromkeys(RANKING_METRICS, UNKNOWN),
        categories=0,
        pixel_categories=int(is_known(masks["mask_f1"])),
    )


def _mask_values(document: Mapping[str, Any]) -> dict[str, float]:
    return {f"mask_{name}": number(document["mask"][name]) for name in ("precision", "recall", "f1", "iou")}


def mean_result(group: Sequence[Result]) -> Result:
    """The macro mean of one method and refiner over its categories."""
    values = {metric: mean_of_known(result.values[metric] for result in group) for metric in group[0].values}
    confidence = {}
    for metric in RANKING_METRICS:
        errors = [result.confidence[metric].standard_error for result in group if is_known(result.values[metric])]
        confidence[metric] = mean_confidence(values[metric], errors)
    return replace(
        group[0],
        category=MEAN,
        values=values,
        confidence=confidence,
        categories=sum(result.categories for result in group),
        pixel_categories=sum(result.pixel_categories for result in group),
    )


def with_seeds_together(results: Sequence[Result]) -> list[Result]:
    """The results, and after the last seed of each method, category and refiner one for all of its seeds.

    Args:
        results: of one kind, of categories or means over them, in the order of the tables.
    """
    together: list[Result] = []
    for same in grouped(results, lambda result: (result.category, result.group or result.method)):
        together += same
        if same[0].group:
            together += [seeds_result(members) for members in grouped(same, lambda result: result.refiner)]
    return together


def seeds_result(group: Sequence[Result]) -> Result:
    """The mean over the seeds of one method, category and refiner, with its standard deviation (``n - 1``).

    Confidence limits of single seeds say nothing of the mean and are left out.
    """
    metrics = group[0].values
    return replace(
        group[0],
        method=group[0].group,
        group="",
        values={metric: mean_of_known(result.values[metric] for result in group) for metric in metrics},
        confidence={},
        seeds=len(group),
        deviation={metric: float(np.std([result.values[metric] for result in group], ddof=1)) for metric in metrics},
    )


def mean_of_known(values: Iterable[float]) -> float:
    """The mean of the values that are not NaN; NaN if there are none."""
    known = [value for value in values if is_known(value)]
    return float(np.mean(known)) if known else np.nan


def grouped(results: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Results with equal keys together, groups in order of first appearance."""
    groups: dict[Hashable, list[Item]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return list(groups.values())


def first_places(names: Iterable[str]) -> dict[str, int]:
    """The position of each name in order of first appearance."""
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def is_known(value: float) -> bool:
    """Whether a metric has a value."""
    return not np.isnan(value)
