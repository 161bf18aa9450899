"""Decide on a photograph without comparing it with other photographs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from zsad.deciding.base import FEWEST_REFERENCES, Evidence
from zsad.deciding.decision import Decision, decision_of
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError, DataError

GIVEN, REFERENCES, OWN_PATCHES = "given", "references", "its own patches"
FIXED, SUITABLE = "fixed", "suitable"
NO_EVIDENCE = "the model has no scores of its own references"


class Verdict(NamedTuple):
    """The decision on a photograph.

    Attributes:
        decision: the decision with its numbers.
        source: origin of the thresholds: `GIVEN`, `REFERENCES`, `OWN_PATCHES`, or empty if there are none.
        remarks: sentences on the decision, the same for every photograph with the same kind of decision; often empty.
    """

    decision: Decision
    source: str
    remarks: tuple[str, ...] = ()


Decide = Callable[[np.ndarray | None, float], Verdict]
"""Gives the verdict on a photograph from its anomaly map, float32 ``[row, column]``, None without maps, and score."""


class EvidenceHolder(Protocol):
    """The attributes of a model that decisions need; see `zsad.scoring.fitted.Fitted`."""

    @property
    def reference_maps(self) -> Sequence[np.ndarray]:
        """Maps of the references, each scored by the others; empty without references or localisation."""

    @property
    def reference_scores(self) -> np.ndarray:
        """Scores of the references, float64 ``[image]``; empty if there are none."""


def decide_by(threshold: float | str | None, fitted: EvidenceHolder, *, localises: bool, setting: str = "") -> Decide:
    """The function that decides on photographs, each by itself.

    Args:
        threshold: a number, in the unit of the model's scores; the name of a rule; or None for `SUITABLE`: by the
            references if the model has scores of at least two, otherwise by the photograph's own patches.
        localises: whether the method gives maps.
        setting: of the method, see `Evidence`.

    Raises:
        ConfigError: there is no such rule, or it needs more than a single photograph.
        DataError: the rule needs scores of references, but the model has none.
    """
    has_references = len(fitted.reference_scores) >= FEWEST_REFERENCES
    number = None if threshold is None else as_number(threshold)
    if number is not None:
        rule, source = THRESHOLDS.build(FIXED, {"image": number}), GIVEN
    elif threshold is None and not has_references and not localises:
        return _undecided
    else:
        name = SUITABLE if threshold is None else str(threshold)
        source = _source(name, has_references=has_references, localises=localises)
        rule = THRESHOLDS.build(name, where=f"threshold rule '{name}'")

    def decide(anomaly_map: np.ndarray | None, score: float) -> Verdict:
        maps = [] if anomaly_map is None else [anomaly_map]
        scores = np.array([score], dtype=np.float64)
        evidence = Evidence(maps, scores, fitted.reference_maps, fitted.reference_scores, setting)
        verdicts = rule.decide(evidence)
        return Verdict(decision_of(0, verdicts, evidence.peaks), source, verdicts.remarks)

    return decide


def _source(name: str, *, has_references: bool, localises: bool) -> str:
    """The evidence that a rule uses, from a single photograph and the model.

    Raises:
        ConfigError, DataError: see `decide_by`.
    """
    rule = THRESHOLDS.load(name)
    if rule.needs_references and not has_references:
        raise DataError(f"threshold rule '{name}' needs scores of references, but {NO_EVIDENCE}; give a number")
    if rule.needs_references or (name == SUITABLE and has_references):
        return REFERENCES
    if rule.needs_batch:
        raise ConfigError(
            f"threshold rule '{name}' compares photographs with each other, but a model decides on each by itself; "
            "give another rule, or a number"
        )
    if not localises:
        raise ConfigError(
            f"threshold rule '{name}' uses the patches of a photograph, but the model's method scores only whole "
            "images; give a number"
        )
    return OWN_PATCHES


def _undecided(anomaly_map: np.ndarray | None, score: float) -> Verdict:
    """The verdict if there is no threshold."""
    del anomaly_map
    undecided = Decision(None, float(np.float32(score)), math.nan, math.nan)
    return Verdict(undecided, "", (f"No threshold: {NO_EVIDENCE}; give one.",))


def as_number(threshold: float | str) -> float | None:
    """The given number; None for the name of a rule.

    Raises:
        ConfigError: it is not a finite number.
    """
    try:
        number = float(threshold)
    except ValueError:
        return None
    if not math.isfinite(number):
        raise ConfigError(f"the threshold is {threshold}; give a finite number, or the name of a rule")
    return number
