"""Metrics of a set of images with their confidence limits: what stands for a category, and for each type of defect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zsad.evaluation.bootstrap import UNKNOWN, Draws, interval


@dataclass(frozen=True)
class Measured:
    """Values and draws of metrics by name.

    Attributes:
        values: NaN where the truth does not allow the metric.
        draws: ``[draw]`` of each metric that the bootstrap knows.
    """

    values: Mapping[str, float]
    draws: Draws

    def plus(self, other: Measured) -> Measured:
        """The metrics of both."""
        return Measured({**self.values, **other.values}, {**self.draws, **other.draws})

    def known_draws(self, names: Iterable[str]) -> Draws:
        """The draws of those of the named metrics that have a value."""
        return {name: self.draws[name] for name in names if name in self.draws and not np.isnan(self.values[name])}

    def document(self, names: Iterable[str]) -> dict[str, Any]:
        """JSON of the named metrics: ``metrics``, and ``confidence`` as ``[low, high]``."""
        names = list(names)
        known = self.known_draws(names)
        return {
            "metrics": {name: self.values.get(name, np.nan) for name in names},
            "confidence": {name: list(interval(known[name]) if name in known else UNKNOWN) for name in names},
        }


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
