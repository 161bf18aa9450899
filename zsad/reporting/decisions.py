"""What images are decided by, in words, and the thresholds that all images of a category have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zsad.deciding.batch_verdict import BatchVerdict, batch_verdict
from zsad.files.json_values import number

_LEAST_TOLD = 0.001  # of p-values and numbers of false alarms
_RANK = 1e-6  # how far from a whole number a rank may be
_DIGITS = (4, 6, 9, 17)
_MEASURES = {"p_value": "p-value {}", "false_alarms": "{} false alarms expected in a good image"}


def common_value(values: Iterable[float]) -> float:
    """The one value that all have, which may be infinite; NaN if they differ, or there is none."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else math.nan


def limit(value: float | None) -> float:
    """A threshold of a JSON file, in which one that nothing exceeds is written as ``null``."""
    return math.inf if value is None else float(value)


def region_thresholds(result: Mapping[str, Any]) -> list[float]:
    """What the peak of each image of an evaluation must exceed; infinite where nothing does."""
    return [limit(image["region_threshold"]) for image in result["images"]]


def pixel_thresholds(result: Mapping[str, Any]) -> list[float]:
    """What the patches of each image of an evaluation must exceed to be marked; infinite where nothing is."""
    return [limit(image["pixel_threshold"]) for image in result["images"]]


def significances(result: Mapping[str, Any]) -> list[float]:
    """The p-value or number of false alarms of each image of an evaluation; NaN where the rule gives none."""
    measure = result["decision"]["measure"]
    return [number(image.get(measure)) if measure else math.nan for image in result["images"]]


def verdict_of(result: Mapping[str, Any]) -> BatchVerdict:
    """What the number of images called defective says of the batch of an evaluation."""
    decision = result["decision"]
    return batch_verdict(
        int(decision["called"]), int(decision["images"]), number(decision["nominal"]), references=references_of(result)
    )


def references_of(result: Mapping[str, Any]) -> int:
    """How many references the p-values of an evaluation are ranks among; 0 where they are none, or it is not told."""
    if result["decision"]["measure"] != "p_value":
        return 0
    count = len(result["provenance"].get("decisions", {}).get("references") or [])
    told = [*significances(result), number(result["decision"]["nominal"])]
    ranks = [value * (count + 1) for value in told if not math.isnan(value)]
    return count if all(abs(rank - round(rank)) < _RANK for rank in ranks) else 0


def decided_by(peak: float, threshold: float, significance: float, measure: str, *, localises: bool) -> str:
    """Why an image is called defective or good, e.g. ``"peak 0.83 above the threshold 0.5, p-value 0.02"``.

    Args:
        peak: what is decided by; the image score of a method that does not localise.
        threshold: what it must exceed; infinite if nothing does.
    """
    what = "peak" if localises else "score"
    if not math.isfinite(threshold):
        told = f"{what} {peak:.4g}; nothing exceeds the threshold"
    else:
        one, other = _told_apart(peak, threshold)
        told = f"{what} {one} {'above' if peak > threshold else 'not above'} the threshold {other}"
    unit = "" if math.isnan(significance) else _MEASURES.get(measure, "")
    return f"{told}, {unit.format(_brief(significance))}" if unit else told


def rows_decided(result: Mapping[str, Any]) -> list[str]:
    """The same of each image of an evaluation, in the order of its rows."""
    measure, localises = result["decision"]["measure"], result["localises"]
    columns: Sequence[tuple[Mapping[str, Any], float, float]] = list(
        zip(result["images"], region_thresholds(result), significances(result), strict=True)
    )
    return [
        decided_by(number(image["peak"]), threshold, significance, measure, localises=localises)
        for image, threshold, significance in columns
    ]


def _brief(significance: float) -> str:
    return f"{significance:.2g}" if significance >= _LEAST_TOLD else f"below {_LEAST_TOLD:g}"


def threshold_in_words(value: float) -> str:
    """A threshold that all images of a category have in common, as `common_value` gives it."""
    if math.isnan(value):
        return "one for each image"
    return f"{value:.4g}" if math.isfinite(value) else "above everything"


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Two numbers with no more digits than tell them apart; alike only if they are."""
    for digits in _DIGITS:
        texts = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return (f"{one:.4g}", f"{other:.4g}") if one == other else texts


def rule_in_words(decided: str, asked: str) -> str:
    """The rule that decided, and the one that was asked for where that is another, which chose it.

    Args:
        decided: its name.
        asked: name and parameters of what the configuration asks for; may be empty.
    """
    if not asked or asked.split(" ")[0].rstrip(",") == decided:
        return asked or decided
    return f"{decided}, by {asked}"
