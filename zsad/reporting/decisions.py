"""Decisions on images in words, and the thresholds that all images of a category have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zsad.deciding.batch_verdict import BatchVerdict, batch_verdict
from zsad.files.json_values import number

_LEAST_SHOWN = 0.001  # of p-values and numbers of false alarms
_RANK = 1e-6  # tolerance of a rank from a whole number
_DIGITS = (4, 6, 9, 17)
_MEASURES = {"p_value": "p-value {}", "false_alarms": "{} false alarms expected in a normal image"}


def common_value(values: Iterable[float]) -> float:
    """The value that all have in common, which may be infinite; NaN if they differ, or there are none."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else math.nan


def read_threshold(value: float | None) -> float:
    """A threshold of a JSON file, where ``null`` means infinite: nothing exceeds it."""
    return math.inf if value is None else float(value)


def region_thresholds(result: Mapping[str, Any]) -> list[float]:
    """The threshold of the peak of each image of an evaluation; infinite if nothing exceeds it."""
    return [read_threshold(image["region_threshold"]) for image in result["images"]]


def pixel_thresholds(result: Mapping[str, Any]) -> list[float]:
    """The threshold of the patches of each image of an evaluation; infinite if nothing is marked."""
    return [read_threshold(image["pixel_threshold"]) for image in result["images"]]


def significances(result: Mapping[str, Any]) -> list[float]:
    """The p-value or number of false alarms of each image of an evaluation; NaN if the rule gives none."""
    measure = result["decision"]["measure"]
    return [number(image.get(measure)) if measure else math.nan for image in result["images"]]


def verdict_of(result: Mapping[str, Any]) -> BatchVerdict:
    """The verdict on the batch of an evaluation, from the number of images called defective."""
    decision = result["decision"]
    return batch_verdict(
        int(decision["called"]), int(decision["images"]), number(decision["nominal"]), references=references_of(result)
    )


def references_of(result: Mapping[str, Any]) -> int:
    """The number of references behind the p-values of an evaluation; 0 if these are no ranks, or it is unknown."""
    if result["decision"]["measure"] != "p_value":
        return 0
    count = len(result["provenance"].get("decisions", {}).get("references") or [])
    known = [*significances(result), number(result["decision"]["nominal"])]
    ranks = [value * (count + 1) for value in known if not math.isnan(value)]
    return count if all(abs(rank - round(rank)) < _RANK for rank in ranks) else 0


def explain_decision(peak: float, threshold: float, significance: float, measure: str, *, localises: bool) -> str:
    """Why an image is called defective or good, e.g. ``"peak 0.83 above the threshold 0.5, p-value 0.02"``.

    Args:
        peak: highest value of the map; the image score of a method that does not localise.
        threshold: threshold of the peak; infinite if nothing exceeds it.
    """
    what = "peak" if localises else "score"
    if not math.isfinite(threshold):
        words = f"{what} {peak:.4g}; nothing exceeds the threshold"
    else:
        one, other = _distinct_texts(peak, threshold)
        words = f"{what} {one} {'above' if peak > threshold else 'not above'} the threshold {other}"
    unit = "" if math.isnan(significance) else _MEASURES.get(measure, "")
    return f"{words}, {unit.format(_brief(significance))}" if unit else words


def explain_decisions(result: Mapping[str, Any]) -> list[str]:
    """The same for each image of an evaluation, in the order of its rows."""
    measure, localises = result["decision"]["measure"], result["localises"]
    columns: Sequence[tuple[Mapping[str, Any], float, float]] = list(
        zip(result["images"], region_thresholds(result), significances(result), strict=True)
    )
    return [
        explain_decision(number(image["peak"]), threshold, significance, measure, localises=localises)
        for image, threshold, significance in columns
    ]


def _brief(significance: float) -> str:
    return f"{significance:.2g}" if significance >= _LEAST_SHOWN else f"below {_LEAST_SHOWN:g}"


def threshold_in_words(value: float) -> str:
    """A threshold that all images of a category have in common, as `common_value` gives it."""
    if math.isnan(value):
        return "differs by image"
    return f"{value:.4g}" if math.isfinite(value) else "infinite"


def _distinct_texts(one: float, other: float) -> tuple[str, str]:
    """Two numbers with just enough digits to differ; the texts are equal only if the numbers are."""
    for digits in _DIGITS:
        texts = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return (f"{one:.4g}", f"{other:.4g}") if one == other else texts


def rule_in_words(decided: str, asked: str) -> str:
    """The rule that decided, and the configured rule that chose it, if that is another one.

    Args:
        decided: name of the rule that decided.
        asked: name and parameters of the configured rule; may be empty.
    """
    if not asked or asked.split(" ")[0].rstrip(",") == decided:
        return asked or decided
    return f"{decided}, by {asked}"
