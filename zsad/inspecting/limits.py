"""From which score on a photograph is called defective, where no other photographs are there to tell."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from zsad.deciding.base import Evidence, ThresholdRule, Thresholds
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError, DataError

GIVEN, REFERENCES, OWN_PATCHES = "given", "references", "its own patches"
FIRST_CHOICE, FALLBACK = "reference_quantile", "robust_tail"
NO_EVIDENCE = "the model has no scores of its own references"


class Limits(NamedTuple):
    """The thresholds of a photograph.

    Attributes:
        thresholds: for pixels and for the image; NaN where there are none.
        source: `GIVEN`, `REFERENCES`, `OWN_PATCHES`, or empty where there are none.
        note: why they are not what one would expect, usually empty.
    """

    thresholds: Thresholds
    source: str
    note: str = ""


NO_LIMITS = Limits(Thresholds(math.nan, math.nan), "", f"no threshold: {NO_EVIDENCE}; give one")
LimitsOf = Callable[[np.ndarray | None, float], Limits]
"""The limits of a photograph by its anomaly map, float32 ``[row, column]``, and its score."""


class EvidenceHolder(Protocol):
    """A model, as far as thresholds ask for it."""

    def thresholds(self, rule: ThresholdRule) -> Thresholds | None:
        """The thresholds by the scores of the references; None if there are no such scores."""


def limits_by(threshold: float | str | None, fitted: EvidenceHolder, *, localises: bool) -> LimitsOf:
    """How the limits of photographs come about.

    Args:
        threshold: a number, in the unit of the model's scores; the name of a rule; or None for the quantile of the
            references' scores or, if the model has none of them, the tail of the photograph's own patches.
        localises: whether the method gives maps.

    Raises:
        ConfigError: there is no such rule, or it cannot do with what a single photograph tells.
        DataError: the rule needs scores of references, and the model has none.
    """
    if threshold is None:
        return _by_default(fitted, localises=localises)
    number = as_number(threshold)
    if number is not None:
        rule = THRESHOLDS.build("fixed", {"image": number})
        return lambda anomaly_map, score: Limits(rule.thresholds(_evidence(anomaly_map, score)), GIVEN)
    rule = THRESHOLDS.build(str(threshold), where=f"threshold rule '{threshold}'")
    if not rule.needs_references:
        return _by_own_patches(rule, str(threshold), localises=localises)
    found = fitted.thresholds(rule)
    if found is None:
        raise DataError(f"threshold rule '{threshold}' needs scores of references, but {NO_EVIDENCE}; give a number")
    return lambda *_: Limits(found, REFERENCES)


def _by_default(fitted: EvidenceHolder, *, localises: bool) -> LimitsOf:
    found = fitted.thresholds(THRESHOLDS.build(FIRST_CHOICE))
    if found is not None:
        return lambda *_: Limits(found, REFERENCES)
    if not localises:
        return lambda *_: NO_LIMITS
    return _by_own_patches(THRESHOLDS.build(FALLBACK), FALLBACK, localises=True)


def _by_own_patches(rule: ThresholdRule, name: str, *, localises: bool) -> LimitsOf:
    if not localises:
        raise ConfigError(
            f"threshold rule '{name}' looks at the patches of a photograph, but the model's method scores images as "
            "wholes; give a number"
        )
    return lambda anomaly_map, score: Limits(rule.thresholds(_evidence(anomaly_map, score)), OWN_PATCHES)


def _evidence(anomaly_map: np.ndarray | None, score: float) -> Evidence:
    return Evidence([] if anomaly_map is None else [anomaly_map], np.array([score], dtype=np.float64))


def as_number(threshold: float | str) -> float | None:
    """The number that is given; None for the name of a rule.

    Raises:
        ConfigError: it is no finite number.
    """
    try:
        number = float(threshold)
    except ValueError:
        return None
    if not math.isfinite(number):
        raise ConfigError(f"the threshold is {threshold}; give a finite number, or the name of a rule")
    return number
