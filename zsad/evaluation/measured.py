"""Metrics of a set of images with their confidence limits, for a category and for each defect type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zsad.evaluation.bootstrap import UNKNOWN, Replicates, interval

# Ratios of decisions and masks without labels to the best with labels: name, numerator, denominator.
RATIO_OF_DECISIONS = ("decision_ratio", "decision_f1", "image_f1max")
RATIO_OF_MASKS = ("mask_ratio", "mask_f1", "pixel_f1max")


@dataclass(frozen=True)
class Measured:
    """Values and replicates of metrics by name.

    Attributes:
        values: NaN where the ground truth does not allow the metric.
        replicates: ``[replicate]`` of each metric that the bootstrap knows.
    """

    values: Mapping[str, float]
    replicates: Replicates

    def plus(self, other: Measured) -> Measured:
        """The metrics of both."""
        return Measured({**self.values, **other.values}, {**self.replicates, **other.replicates})

    def with_ratio(self, name: str, part: str, whole: str) -> Measured:
        """Add the ratio of two of the metrics: of their values, and in each replicate."""
        over, under = (np.asarray(self.values.get(metric, np.nan)) for metric in (part, whole))
        return self.plus(
            Measured({name: float(ratio(over, under))}, ratio_replicates(self.replicates, name, part, whole))
        )

    def known_replicates(self, names: Iterable[str]) -> Replicates:
        """The replicates of the named metrics that have a value."""
        return {
            name: self.replicates[name] for name in names if name in self.replicates and not np.isnan(self.values[name])
        }

    def document(self, names: Iterable[str]) -> dict[str, Any]:
        """JSON of the named metrics: ``metrics``, and ``confidence`` as ``[low, high]``."""
        names = list(names)
        known = self.known_replicates(names)
        return {
            "metrics": {name: self.values.get(name, np.nan) for name in names},
            "confidence": {name: list(interval(known[name]) if name in known else UNKNOWN) for name in names},
        }


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, element by element; NaN where one is, and over nothing."""
    ratios: np.ndarray = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
    return ratios


def ratio_replicates(replicates: Replicates, name: str, part: str, whole: str) -> Replicates:
    """The replicates of the ratio of two metrics, by its name; nothing without those of both.

    Both must come from the same replicates of the same images, as those of one category do.
    """
    if part not in replicates or whole not in replicates:
        return {}
    return {name: ratio(replicates[part], replicates[whole])}


def mean_of_known(values: Iterable[float]) -> float:
    """The mean of the values that are not NaN; NaN if there are none."""
    known = [value for value in values if is_known(value)]
    return float(np.mean(known)) if known else np.nan


def first_places(names: Iterable[str]) -> dict[str, int]:
    """The position of each name in order of first appearance."""
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def is_known(value: float) -> bool:
    """Whether a metric has a value."""
    return not np.isnan(value)
