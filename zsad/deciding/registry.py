"""The threshold rules by name: one line each."""

from zsad.deciding.base import ThresholdRule
from zsad.registry import Registry

THRESHOLDS: Registry[ThresholdRule] = Registry(
    "threshold rule",
    {
        "suitable": "zsad.deciding.suitable:Suitable",
        "conformal": "zsad.deciding.conformal:Conformal",
        "robust_tail": "zsad.deciding.robust_tail:RobustTail",
        "peaks_over_threshold": "zsad.deciding.peaks_over_threshold:PeaksOverThreshold",
        "a_contrario": "zsad.deciding.a_contrario:AContrario",
        "mebin": "zsad.deciding.mebin:MEBin",
        "reference_tail": "zsad.deciding.reference_tail:ReferenceTail",
        "reference_quantile": "zsad.deciding.reference_quantile:ReferenceQuantile",
        "fixed": "zsad.deciding.fixed:Fixed",
        "mixture": "zsad.deciding.mixture:Mixture",
        "largest_gap": "zsad.deciding.largest_gap:LargestGap",
        "share": "zsad.deciding.share:Share",
        "expected_share": "zsad.deciding.expected_share:ExpectedShare",
        "subsample_maxima": "zsad.deciding.subsample_maxima:SubsampleMaxima",
        "self_calibration": "zsad.deciding.self_calibration:SelfCalibration",
    },
)
