"""The threshold rules by name: one line each."""

from zsad.registry import Registry
from zsad.scoring.thresholds.base import ThresholdRule

THRESHOLDS: Registry[ThresholdRule] = Registry(
    "threshold rule",
    {
        "robust_tail": "zsad.scoring.thresholds.robust_tail:RobustTail",
        "mebin": "zsad.scoring.thresholds.mebin:MEBin",
        "reference_quantile": "zsad.scoring.thresholds.reference_quantile:ReferenceQuantile",
        "fixed": "zsad.scoring.thresholds.fixed:Fixed",
    },
)
