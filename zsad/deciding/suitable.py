"""Suitable: the rule that suits what is there."""

from __future__ import annotations

from typing import ClassVar

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.conformal import Conformal
from zsad.deciding.robust_tail import RobustTail


class Suitable(ThresholdRule):
    """Conformal p-values where two or more references were scored, else a rule that does without."""

    summary: ClassVar[str] = "What suits: `conformal` with two or more references, else `robust_tail`."
    reference: ClassVar[str] = "The choice of benchmarks/decisions.py."

    def decide(self, evidence: Evidence) -> Verdicts:
        """What the rule says that suits the evidence."""
        rule = Conformal() if len(evidence.reference_peaks) > 1 else RobustTail()
        return rule.decide(evidence)
