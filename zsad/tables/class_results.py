"""The results of classifiers for each category, classifier and number of shots, and their means over categories.

A mean is the macro mean: every category has the same weight, and the mean is over the categories with a value. Its
limits follow from those of the categories, which are independent, by the method of variance estimates recovery (Zou
and Donner, Statistics in Medicine 27, 2008): the distance of a limit from the mean is the root of the sum of the
squared distances in the categories, divided by their number. Its deviation is that of the means of each seed.

A missing result (see `zsad.tables.missing`) leaves every mean that contains it without figures. Results with
ground-truth regions and with different numbers of shots are separate: none is averaged with others.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from zsad.evaluation.measured import first_places, is_known, mean_of_known
from zsad.files.json_values import number
from zsad.names import CLASSIFICATION_METRICS, MEAN
from zsad.tables.missing import is_missing
from zsad.tables.results import grouped

CLASS_KEYS = (
    *("category", "classifier", "backbone", "method", "embedding", "kinds", "unknown_kinds", "alpha", "regions"),
    *("is_labelled", "shown", "draws", "by_shots", "images"),
)
KEYS = ("category", "classifier")
IMAGES = ("queries", "measured", "unknown")
GROUND_TRUTH = "ground truth"
REGIONS = {"image": "whole image", "predicted": "predicted regions", GROUND_TRUTH: "ground-truth regions"}
COVERAGE = "coverage"
_NO_SHOTS: Mapping[str, Any] = {"shots": "", "setting": "", "seeds": [0]}


class Measure(NamedTuple):
    """A measure: a metric of all images or of the images of one kind.

    Attributes:
        kind: empty for all images.
    """

    metric: str
    kind: str = ""


class Summary(NamedTuple):
    """A figure over the seeds of a classifier; NaN for unknown values.

    Attributes:
        value: mean over the seeds.
        low, high: its 95 % limits.
        deviation: standard deviation over the seeds.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    deviation: float = math.nan


UNKNOWN = Summary()
OVERALL = tuple(Measure(metric) for metric in CLASSIFICATION_METRICS)


@dataclass(frozen=True)
class ClassResult:
    """The result of one classifier and number of shots on one category.

    Attributes:
        method: the method whose maps give the regions; empty for none.
        regions: the image area of the embeddings: ``"image"``, ``"predicted"`` or ``"ground truth"``.
        shots: a number, or ``"all"``.
        alpha: share of images whose prediction set may miss their kind.
        seeds: number of random seeds.
        kinds: number of kinds with examples; for a mean, the average.
        queries, measured, unknown: images per seed: all, those of a kind with examples, and those of a kind without.
        categories: number of categories behind the accuracy.
        summaries: of every measure that may be known.
        by_seed: the values of each seed.
        remarks: sentences, each once.
        alike: equal for results that can be compared: same images, kinds and type of regions.
        missing: whether it is missing, or is a mean with a missing result.
    """

    category: str
    classifier: str
    backbone: str
    method: str
    embedding: str
    regions: str
    setting: str
    shots: str
    alpha: float = math.nan
    seeds: int = 1
    kinds: float = math.nan
    queries: float = math.nan
    measured: float = math.nan
    unknown: float = math.nan
    categories: int = 0
    summaries: Mapping[Measure, Summary] = field(default_factory=dict)
    by_seed: Mapping[int, Mapping[Measure, float]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    alike: Hashable = ()
    missing: bool = False

    def summary(self, measure: Measure) -> Summary:
        """The figure of a measure; unknown if there is none."""
        return self.summaries.get(measure, UNKNOWN)


def class_results(documents: Sequence[Mapping[str, Any]]) -> list[ClassResult]:
    """One result for each category, classifier and number of shots; then the means, if there are several categories.

    Categories and classifiers are in the order of their first appearance, shots in that of the configuration. Missing
    results get the shots that their classifier has in other categories.
    """
    category, classifier = (first_places(document[name] for document in documents) for name in KEYS)
    ordered = sorted(documents, key=lambda one: (category[one["category"]], classifier[one["classifier"]]))
    results = [result for document in ordered for result in _results(document, documents)]
    return [*results, *(_means(results) if len(category) > 1 else ())]


def _results(document: Mapping[str, Any], documents: Iterable[Mapping[str, Any]]) -> list[ClassResult]:
    if is_missing(document):
        return _missing_results(document, documents)
    return [_result(document, of_shots) for of_shots in document["by_shots"]]


def _missing_results(document: Mapping[str, Any], documents: Iterable[Mapping[str, Any]]) -> list[ClassResult]:
    """Placeholders for missing results, with the shots of the same classifier in other categories."""
    there = [one for one in documents if one["classifier"] == document["classifier"] and not is_missing(one)]
    names = ("backbone", "method", "embedding", "regions")
    known: dict[str, Any] = {name: str({**(there[0] if there else {}), **document}.get(name, "")) for name in names}
    of_shots: Sequence[Mapping[str, Any]] = there[0]["by_shots"] if there else [_NO_SHOTS]
    return [
        ClassResult(
            category=document["category"],
            classifier=document["classifier"],
            **known,
            setting=one["setting"],
            shots=str(one["shots"]),
            seeds=len(one["seeds"]),
            missing=True,
        )
        for one in of_shots
    ]


def _result(document: Mapping[str, Any], of_shots: Mapping[str, Any]) -> ClassResult:
    draws = [draw for draw in document["draws"] if draw["shots"] == of_shots["shots"]]
    summaries = {
        **{Measure(name): summary_of(of_shots["metrics"].get(name)) for name in CLASSIFICATION_METRICS},
        **{Measure(COVERAGE, kind): summary_of(found) for kind, found in of_shots["coverage_by_kind"].items()},
    }
    counts: dict[str, Any] = {
        name: float(np.mean([draw[name] for draw in draws])) for name in ("queries", "measured", "unknown")
    }
    shown = (*document["kinds"], "", *document["unknown_kinds"])
    return ClassResult(
        **{name: document[name] for name in (*KEYS, "backbone", "method", "embedding", "regions", "alpha")},
        setting=of_shots["setting"],
        shots=str(of_shots["shots"]),
        seeds=len(of_shots["seeds"]),
        kinds=len(document["kinds"]),
        **counts,
        categories=int(is_known(summaries[Measure("accuracy")].value)),
        summaries=summaries,
        by_seed={draw["seed"]: _values(draw) for draw in draws},
        remarks=tuple(dict.fromkeys(remark for draw in draws for remark in draw["remarks"])),
        alike=(document["category"], document["regions"] == GROUND_TRUTH, shown, tuple(counts.values())),
    )


def summary_of(found: Mapping[str, Any] | None) -> Summary:
    """A figure of an evaluation; unknown if there is none."""
    return UNKNOWN if found is None else Summary(*(number(found[name]) for name in Summary._fields))


def _values(draw: Mapping[str, Any]) -> dict[Measure, float]:
    return {
        **{Measure(name): number(value) for name, value in draw["metrics"].items()},
        **{Measure(COVERAGE, kind): number(value) for kind, value in draw["coverage_by_kind"].items()},
    }


def _means(results: Iterable[ClassResult]) -> list[ClassResult]:
    """The means over categories, by classifier, in the order of the results."""
    classifier = first_places(result.classifier for result in results)
    groups = grouped(results, lambda result: (result.classifier, result.setting, result.regions))
    return sorted((_mean(group) for group in groups), key=lambda mean: classifier[mean.classifier])


def _mean(group: Sequence[ClassResult]) -> ClassResult:
    """The macro mean of one classifier, number of shots and type of regions over its categories."""
    mean = replace(group[0], category=MEAN)
    if any(result.missing for result in group):
        return replace(mean, **_NOTHING, missing=True)
    measures = dict.fromkeys(measure for result in group for measure in result.summaries)
    return replace(
        mean,
        kinds=float(np.mean([result.kinds for result in group])),
        **{name: sum(getattr(result, name) for result in group) for name in IMAGES},
        categories=sum(result.categories for result in group),
        summaries={measure: _mean_summary(group, measure) for measure in measures},
        by_seed={},
        remarks=tuple(dict.fromkeys(remark for result in group for remark in result.remarks)),
        alike=tuple(result.alike for result in group),
    )


_NOTHING: Mapping[str, Any] = {
    **dict.fromkeys(("alpha", "kinds", *IMAGES), math.nan),
    **{"categories": 0, "summaries": {}, "by_seed": {}, "remarks": (), "alike": ()},
}


def _mean_summary(group: Iterable[ClassResult], measure: Measure) -> Summary:
    known = [result for result in group if is_known(result.summary(measure).value)]
    summaries = [result.summary(measure) for result in known]
    mean = mean_of_known(summary.value for summary in summaries)
    below = [max(summary.value - summary.low, 0.0) for summary in summaries]  # NaN stays NaN
    above = [max(summary.high - summary.value, 0.0) for summary in summaries]
    return Summary(
        mean,
        mean - _root_of_squares(below) / max(len(known), 1),
        mean + _root_of_squares(above) / max(len(known), 1),
        _deviation([result.by_seed for result in known], measure),
    )


def _root_of_squares(distances: Sequence[float]) -> float:
    return math.sqrt(sum(distance**2 for distance in distances))


def _deviation(by_seed: Sequence[Mapping[int, Mapping[Measure, float]]], measure: Measure) -> float:
    """The standard deviation of the mean over categories, over the seeds with a value in all categories."""
    values = [{seed: of_seed.get(measure, math.nan) for seed, of_seed in one.items()} for one in by_seed]
    common = [
        seed for seed in (values[0] if values else ()) if all(is_known(one.get(seed, math.nan)) for one in values)
    ]
    means = [np.mean([one[seed] for one in values]) for seed in common]
    return float(np.std(means, ddof=1)) if len(means) > 1 else math.nan
