"""The results of a run for each category, method and refiner, and their means over categories.

A mean is the macro mean: every category has the same weight. It is over the categories with a value, whose number is
kept. Methods that differ only in the random seed have a result each, and a common one: the mean over the seeds, with
the standard deviation. The oracle, with prompts from the ground truth, is in the results as a method of that name with
its own mean; it has no scores and is not part of other means.

A missing result (see `zsad.tables.missing`) leaves every mean that contains it without figures.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from zsad.errors import DataError
from zsad.evaluation.bootstrap import UNKNOWN, Interval, Replicates, interval, mean_replicates
from zsad.evaluation.measured import RATIO_OF_MASKS, Measured, first_places, is_known, mean_of_known
from zsad.files.json_values import number
from zsad.files.training_facts import TRAINING
from zsad.names import ALL_METRICS, MASK_METRICS, MEAN, MEAN_OBJECTS, MEAN_TEXTURES, NO_REFINER
from zsad.tables.missing import is_missing

Item = TypeVar("Item")
MASK_RATIO = RATIO_OF_MASKS[0]

KEYS = ("dataset", "category", "backbone", "method", "setting", "refiner", "protocol")
MASK_KEYS = ("category", "method", "refiner", "protocol", "metrics", "confidence", "effects", "notes")
ORACLE_KEYS = (*KEYS, "metrics", "confidence", "effects", "notes")
SCORE_KEYS = (
    *("dataset", "category", "backbone", "method", "group", "setting", "protocol", "decision", "images"),
    *("metrics", "confidence", "by_type", "notes"),
)


@dataclass(frozen=True)
class Result:
    """The result of one method on one category, with one refiner's masks.

    Attributes:
        values: every metric by its column name; NaN if unknown.
        confidence: intervals of the metrics that have one.
        draws: the metrics in every bootstrap replicate, by name.
        categories: number of categories behind the image metrics.
        pixel_categories: number of categories behind the pixel metrics.
        group: the method of which this one is a random seed; empty if it is none.
        seeds: number of seeds behind the means.
        deviation: standard deviation over the seeds of every metric by its column name; empty for one seed.
        trainings: facts about the training of the method, one for each result behind a mean; see
            `zsad.files.training_facts`. Empty for methods without training.
        missing: whether it is missing, or is a mean with a missing result; then no metric has a value.
    """

    dataset: str
    category: str
    backbone: str
    method: str
    setting: str
    refiner: str
    protocol: str
    values: Mapping[str, float]
    confidence: Mapping[str, Interval]
    draws: Replicates
    categories: int
    pixel_categories: int
    group: str = ""
    seeds: int = 1
    deviation: Mapping[str, float] = field(default_factory=dict)
    trainings: tuple[Mapping[str, Any], ...] = ()
    missing: bool = False


def results_of(
    evaluations: Sequence[Mapping[str, Any]],
    refinements: Sequence[Mapping[str, Any]],
    oracles: Sequence[Mapping[str, Any]] = (),
) -> list[Result]:
    """One result for each category, method and refiner, in the order of their first appearance.

    Every document has its bootstrap replicates in ``draws``, besides the content of its file. The thresholded map is
    the refiner ``none``. A refiner's result keeps the metrics of the scores and has its own metrics of the mask, also
    relative to the best of the map; it is missing if either is. Oracles come last and have only metrics of the mask.

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
        if scored.missing or is_missing(refinement):
            results.append(_without_figures(scored, refiner=refinement["refiner"]))
            continue
        results.append(_refined_result(scored, refinement))
    results += [_oracle_result(oracle) for oracle in oracles]
    return _in_order(results)


def _in_order(results: Sequence[Result]) -> list[Result]:
    """The results by category, method and refiner, in the order of their first appearance."""
    category, method, refiner = (
        first_places(getattr(result, name) for result in results) for name in ("category", "method", "refiner")
    )
    return sorted(
        results, key=lambda result: (category[result.category], method[result.method], refiner[result.refiner])
    )


def _result(evaluation: Mapping[str, Any]) -> Result:
    values = _values(evaluation, ALL_METRICS)
    return Result(
        **{key: evaluation[key] for key in KEYS if key != "refiner"},
        refiner=NO_REFINER,
        values=values,
        confidence=_confidence(evaluation, ALL_METRICS),
        draws=evaluation["draws"],
        categories=int(is_known(values["image_auroc"])),
        pixel_categories=int(is_known(values["pixel_auroc"])),
        group=evaluation["group"],
        trainings=_trainings(evaluation),
        missing=is_missing(evaluation),
    )


def _refined_result(scored: Result, refinement: Mapping[str, Any]) -> Result:
    """The result of the scores with the metrics of a refiner's masks, measured on the same bootstrap replicates."""
    draws = {**_without(scored.draws, (*MASK_METRICS, MASK_RATIO)), **refinement["draws"]}
    measured = Measured({**scored.values, **_values(refinement, MASK_METRICS)}, draws).with_ratio(*RATIO_OF_MASKS)
    draws = {**draws, **measured.known_replicates([MASK_RATIO])}
    of_ratio = interval(draws[MASK_RATIO]) if MASK_RATIO in draws else UNKNOWN
    return replace(
        scored,
        refiner=refinement["refiner"],
        values=measured.values,
        confidence={**scored.confidence, **_confidence(refinement, MASK_METRICS), MASK_RATIO: of_ratio},
        draws=draws,
    )


def _oracle_result(oracle: Mapping[str, Any]) -> Result:
    values = dict.fromkeys(ALL_METRICS, np.nan) | _values(oracle, MASK_METRICS)
    return Result(
        **{key: oracle[key] for key in KEYS},
        values=values,
        confidence=_confidence(oracle, MASK_METRICS),
        draws=oracle["draws"],
        categories=0,
        pixel_categories=int(is_known(values["mask_f1"])),
        missing=is_missing(oracle),
    )


def _trainings(evaluation: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The training facts of an evaluation; empty if it has none, as in files of versions without trained methods."""
    training = evaluation.get(TRAINING)
    return (training,) if isinstance(training, Mapping) and training else ()


def _together(results: Iterable[Result]) -> tuple[Mapping[str, Any], ...]:
    return tuple(training for result in results for training in result.trainings)


def _values(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, float]:
    return {name: number(document["metrics"][name]) for name in names}


def _confidence(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Interval]:
    return {name: Interval(*(number(limit) for limit in document["confidence"][name])) for name in names}


def _without(draws: Replicates, names: Iterable[str]) -> Replicates:
    left_out = set(names)
    return {name: values for name, values in draws.items() if name not in left_out}


def mean_results(results: Sequence[Result], textures: Sequence[str] = ()) -> list[Result]:
    """The macro means of each method and refiner: over all categories, and over textures and objects if there are both.

    Args:
        results: of categories.
        textures: the categories that are textures; the others are objects.
    """
    kinds = {
        MEAN: results,
        MEAN_TEXTURES: [result for result in results if result.category in textures],
        MEAN_OBJECTS: [result for result in results if result.category not in textures],
    }
    names = [MEAN] if not kinds[MEAN_TEXTURES] or not kinds[MEAN_OBJECTS] else list(kinds)
    return [
        _mean_result(name, group)
        for name in names
        for group in grouped(kinds[name], lambda result: (result.method, result.refiner))
    ]


def _mean_result(name: str, group: Sequence[Result]) -> Result:
    """A mean over categories, whose bootstrap replicates are independent of each other."""
    if any(result.missing for result in group):
        return _without_figures(group[0], category=name)
    values = {metric: mean_of_known(result.values[metric] for result in group) for metric in group[0].values}
    draws = {
        metric: mean_replicates([result.draws for result in group if is_known(result.values[metric])], metric)
        for metric in values
    }
    return replace(
        group[0],
        category=name,
        values=values,
        confidence={metric: interval(drawn) for metric, drawn in draws.items()},
        draws={metric: drawn for metric, drawn in draws.items() if drawn.size},
        categories=sum(result.categories for result in group),
        pixel_categories=sum(result.pixel_categories for result in group),
        trainings=_together(group),
    )


def with_seeds_together(results: Sequence[Result]) -> list[Result]:
    """The results, with a common one after the last seed of each method, category and refiner.

    Args:
        results: either of categories or means over them, in the order of the tables.
    """
    together: list[Result] = []
    for same in grouped(results, lambda result: (result.category, result.group or result.method)):
        together += same
        if same[0].group:
            together += [seeds_result(members) for members in grouped(same, lambda result: result.refiner)]
    return together


def seeds_result(group: Sequence[Result]) -> Result:
    """The mean over the seeds of one method, category and refiner, with its standard deviation (``n - 1``).

    The seeds are measured on the same bootstrap replicates, so that the limits of their mean come from its replicates.
    """
    metrics = group[0].values
    if any(result.missing for result in group):
        return _without_figures(group[0], method=group[0].group, group="", seeds=len(group))
    draws = {metric: mean_replicates([result.draws for result in group], metric) for metric in metrics}
    return replace(
        group[0],
        method=group[0].group,
        group="",
        values={metric: mean_of_known(result.values[metric] for result in group) for metric in metrics},
        confidence={metric: interval(drawn) for metric, drawn in draws.items()},
        draws={metric: drawn for metric, drawn in draws.items() if drawn.size},
        trainings=_together(group),
        seeds=len(group),
        deviation={metric: float(np.std([result.values[metric] for result in group], ddof=1)) for metric in metrics},
    )


def _without_figures(result: Result, **names: Any) -> Result:
    """The placeholder of a mean with a missing result."""
    return replace(
        result,
        values=dict.fromkeys(result.values, np.nan),
        confidence={},
        draws={},
        categories=0,
        pixel_categories=0,
        missing=True,
        **names,
    )


def grouped(results: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Results with equal keys together, groups in order of first appearance."""
    groups: dict[Hashable, list[Item]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return list(groups.values())
