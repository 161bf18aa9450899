"""Compare two finished runs, method by method and category by category.

The difference is that of the second run less that of the first. Its 95 % limits are those of a paired bootstrap over
the images that both runs have: both methods are measured on the same resampled images, so that the difference in a
replicate is that of the methods and not of the images. The second run wins where the limits lie above 0, loses where
they lie below, and ties otherwise; of a metric of which less is better it is the other way round. Nothing is corrected
for the number of comparisons: of comparisons between equal methods about 5 % come out significant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zsad.comparing.measured_pair import ANEW, STORED, MeasuredPair, Side, measure_pair
from zsad.errors import ConfigError, DataError, nearest_hint
from zsad.evaluation.bootstrap import Sampler, interval
from zsad.evaluation.common_images import common_images
from zsad.evaluation.measure_anew import evaluation_options
from zsad.evaluation.measured import is_known
from zsad.evaluation.options import EvaluationOptions
from zsad.names import ALL_METRICS, DECISION_METRICS, HEADLINE_METRICS, IMAGE_METRICS, MEAN, NO_REFINER
from zsad.tables.comparisons import LOSS, TIE, WIN
from zsad.tables.finished_run import FinishedRun
from zsad.tables.frames import TableFormat, count, decimal, text
from zsad.tables.result_parameters import changed_parameters, result_parameters
from zsad.tables.results import Result

ALL = "all"  # in place of metrics: all that both runs know
MASK_HEADLINES = ("mask_f1", "mask_iou")  # what is compared of a refiner if nothing is asked for
LESS_IS_BETTER = ("decision_fpr",)
WITHOUT_PIXELS = (*IMAGE_METRICS, *DECISION_METRICS)  # on which the protocol has no bearing
PAIR = ("method", "other", "refiner", "other_refiner")

COMPARED = TableFormat(
    "two runs compared",
    {
        **dict.fromkeys(("metric", "category", *PAIR), text),
        "images": count,
        **dict.fromkeys(("first", "second", "difference", "low", "high"), decimal),
        **dict.fromkeys(("verdict", "replicates"), text),
    },
    names=("metric", "category", *PAIR),
)


@dataclass(frozen=True)
class ComparedRuns:
    """The result of `compare_runs`.

    Attributes:
        frame: a row for each metric, pair of methods and category, and for the mean if there are several categories;
            columns as in `COMPARED`. ``method`` is the first run's, ``other`` the second's. Figures are shares.
        changed: by pair ``(method, other)``, the parameters that differ, with both values.
        notes: sentences about what was compared, and how.
    """

    first: FinishedRun
    second: FinishedRun
    frame: pd.DataFrame
    changed: Mapping[tuple[str, str], Mapping[str, tuple[Any, Any]]]
    notes: Sequence[str]


def compare_runs(
    first: Path,
    second: Path,
    *,
    methods: Sequence[tuple[str, str]] = (),
    refiners: tuple[str, str] = (NO_REFINER, NO_REFINER),
    metrics: Sequence[str] = (),
) -> ComparedRuns:
    """Compare two finished runs.

    Args:
        first, second: results folders; the same one to compare methods of one run.
        methods: names of a method in the first and in the second run; none for all common methods.
        refiners: whose masks are compared in each run; ``"none"`` to compare the maps.
        metrics: columns of metrics.csv, or `ALL`; none for the headline metrics.

    Raises:
        ConfigError: there is no such metric.
        DataError: a folder is not that of a finished run; the runs have no category, method, image or metric in common;
            images of the same name, their ground truth or the protocols differ; or a result cannot be read.
    """
    wanted = _wanted_metrics(metrics, refiners)
    runs = FinishedRun(first), FinishedRun(second)
    categories = _common_categories(*runs)
    pairs = [
        (_side(runs[0], one, refiners[0]), _side(runs[1], two, refiners[1]))
        for one, two in methods or _common_methods(*runs)
    ]
    _require_protocol(*runs, wanted)
    images = {name: common_images(*(run.folder / name / "manifest.csv" for run in runs)) for name in categories}
    sampler = _sampler(*pairs[0], categories[0])
    measured = [
        (pair, {name: measure_pair(*pair, name, images[name], sampler) for name in categories}) for pair in pairs
    ]
    rows = [row for metric in wanted for pair, of_pair in measured for row in _rows(metric, pair, of_pair)]
    _require_metrics(runs, rows, wanted if metrics and ALL not in metrics else ())
    return ComparedRuns(
        *runs,
        frame=COMPARED.frame(rows),
        changed={
            (one.method, two.method): changed_parameters(
                result_parameters(one.run, one.members[0]), result_parameters(two.run, two.members[0])
            )
            for one, two in pairs
        },
        notes=[*_left_out(*runs, categories, chosen=bool(methods)), *_measured_anew(measured, sampler)],
    )


def _wanted_metrics(metrics: Sequence[str], refiners: tuple[str, str]) -> Sequence[str]:
    """The names of the requested metrics, each once.

    Raises:
        ConfigError: a name is not a metric.
    """
    for name in metrics:
        if name not in (*ALL_METRICS, ALL):
            raise ConfigError(f"there is no metric '{name}'{nearest_hint(name, [*ALL_METRICS, ALL])}")
    if ALL in metrics:
        return ALL_METRICS
    headlines = HEADLINE_METRICS if refiners == (NO_REFINER, NO_REFINER) else MASK_HEADLINES
    return tuple(dict.fromkeys(metrics)) or headlines


def _common_categories(first: FinishedRun, second: FinishedRun) -> list[str]:
    common = [name for name in first.categories if name in second.categories]
    if not common:
        raise DataError(
            f"{first} and {second} have no category in common ({_listed(first.categories)}, and "
            f"{_listed(second.categories)}); compare runs on the same data set"
        )
    return common


def _common_methods(first: FinishedRun, second: FinishedRun) -> list[tuple[str, str]]:
    common = [(name, name) for name in first.methods if name in second.methods]
    if not common:
        raise DataError(
            f"{first} and {second} have no method of the same name ({_listed(first.methods)}, and "
            f"{_listed(second.methods)}); name those to compare by --method FIRST=SECOND"
        )
    return common


def _side(run: FinishedRun, method: str, refiner: str) -> Side:
    side = Side(run, method, refiner, run.members(method))
    if refiner not in (there := run.refiners(side.members[0])):
        raise DataError(f"{run} has no masks of '{method}' by '{refiner}'; choose from: {', '.join(there)}")
    return side


def _require_protocol(first: FinishedRun, second: FinishedRun, metrics: Iterable[str]) -> None:
    """Refuse to compare pixel metrics of different protocols."""
    one, two = (" and ".join(dict.fromkeys(run.metrics["protocol"])) for run in (first, second))
    if one != two and not {*metrics} <= {*WITHOUT_PIXELS}:
        raise DataError(
            f"{first} measures pixels by the protocol '{one}' and {second} by '{two}'; give both the same section "
            "evaluation and run `snakemake` again, or compare images alone, e.g. --metrics image_auroc"
        )


def _sampler(first: Side, second: Side, category: str) -> Sampler:
    """How images are resampled if methods are measured again: as in the first run, if it has a bootstrap."""
    options = [evaluation_options(side.run.evaluation(category, side.members[0])) for side in (first, second)]
    number = next((one.bootstrap for one in options if one.bootstrap), EvaluationOptions().bootstrap)
    return Sampler(number, options[0].seed, category)


def _rows(metric: str, pair: tuple[Side, Side], of_pair: Mapping[str, MeasuredPair]) -> list[dict[str, Any]]:
    """The rows of a metric: one for each category in which both methods have it, and one for their mean."""
    known = {
        name: one for name, one in of_pair.items() if _is_known(metric, one.first) and _is_known(metric, one.second)
    }
    groups = {name: [one] for name, one in known.items()} | ({MEAN: [*known.values()]} if len(known) > 1 else {})
    names = dict(zip(PAIR, (pair[0].method, pair[1].method, pair[0].refiner, pair[1].refiner), strict=True))
    return [{"metric": metric, "category": name, **names, **_compared(metric, group)} for name, group in groups.items()]


def _is_known(metric: str, result: Result) -> bool:
    return is_known(result.values[metric]) and metric in result.draws


def _compared(metric: str, group: Sequence[MeasuredPair]) -> dict[str, Any]:
    """The figures of a row: of one category, or the mean over several, which are resampled independently."""
    first, second = (float(np.mean([side.values[metric] for side in of_run])) for of_run in _of_runs(group))
    drawn = [np.mean([side.draws[metric] for side in of_run], axis=0) for of_run in _of_runs(group)]
    low, high = interval(drawn[1] - drawn[0])
    return {
        "images": sum(one.images for one in group),
        **{"first": first, "second": second, "difference": second - first, "low": low, "high": high},
        "verdict": verdict(metric, low, high),
        "replicates": ANEW if any(one.replicates == ANEW for one in group) else STORED,
    }


def _of_runs(group: Sequence[MeasuredPair]) -> tuple[list[Result], list[Result]]:
    return [one.first for one in group], [one.second for one in group]


def verdict(metric: str, low: float, high: float) -> str:
    """Whether the second run is better, by the interval of the difference; empty if the interval is unknown."""
    if np.isnan(low + high):
        return ""
    better, worse = (high < 0, low > 0) if metric in LESS_IS_BETTER else (low > 0, high < 0)
    return WIN if better else LOSS if worse else TIE


def _require_metrics(
    runs: tuple[FinishedRun, FinishedRun], rows: Iterable[Mapping[str, Any]], metrics: Sequence[str]
) -> None:
    """Reject runs with nothing to compare: no row at all, or none of a requested metric."""
    found = {row["metric"] for row in rows}
    if not found:
        raise DataError(f"{runs[0]} and {runs[1]} know none of these metrics of the same category; try --metrics {ALL}")
    if absent := [name for name in metrics if name not in found]:
        raise DataError(
            f"{runs[0]} and {runs[1]} do not both know {' or '.join(absent)} of a category; choose from: "
            f"{', '.join(_known(*runs))}"
        )


def _known(first: FinishedRun, second: FinishedRun) -> list[str]:
    """The metrics that both runs have."""
    return [name for name in ALL_METRICS if all(run.metrics[name].notna().any() for run in (first, second))]


def _left_out(first: FinishedRun, second: FinishedRun, categories: Sequence[str], *, chosen: bool) -> list[str]:
    """One sentence for each thing that only one of the runs has.

    Args:
        chosen: whether the user named the methods, so that others need no sentence.
    """
    notes = []
    for run, other in ((first, second), (second, first)):
        if missing := [name for name in run.categories if name not in categories]:
            notes.append(f"Only {run} has the categories {_listed(missing)}.")
        if not chosen and (missing := [name for name in run.methods if name not in other.methods]):
            notes.append(f"Only {run} has the methods {_listed(missing)}.")
    return notes


def _measured_anew(
    measured: Iterable[tuple[tuple[Side, Side], Mapping[str, MeasuredPair]]], sampler: Sampler
) -> list[str]:
    """One sentence for each reason why results were measured again."""
    reasons: dict[str, dict[str, None]] = {}
    for _, of_pair in measured:
        for name, one in of_pair.items():
            if one.reason:
                reasons.setdefault(one.reason, {})[name] = None
    return [
        f"{_listed(names)}: measured again from the stored scores, with {sampler.replicates} bootstrap replicates of "
        f"the common images, as {reason}."
        for reason, names in reasons.items()
    ]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
