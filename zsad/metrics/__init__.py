"""All metrics of the workflow for arrays, by the same code, so that the figures are the same.

>>> from zsad import metrics
>>> metrics.image_auroc(scores=[0.1, 0.4, 0.35, 0.8], labels=[0, 0, 1, 1])
0.75

``docs/metrics.md`` defines each metric and names its source. Greater scores are more anomalous. All metrics are exact,
ties included: there is no grid of thresholds. Pixel metrics read the images one at a time, so that maps and masks may
be made, or read from a file, on demand; `pixel_metrics` computes all of them in the time of one. A metric that the
ground truth does not allow, such as an AUROC without a defective image, raises `zsad.errors.ArrayError`, which is a
`ValueError`; so do invalid arrays.
"""

from __future__ import annotations

from zsad.evaluation.bootstrap import Interval
from zsad.evaluation.curves import Curve
from zsad.metrics.images import (
    best_threshold,
    decision_limits,
    decision_metrics,
    image_ap,
    image_auroc,
    image_curves,
    image_f1_max,
    image_limits,
    image_metrics,
)
from zsad.metrics.masks import (
    image_overlaps,
    mask_limits,
    mask_metrics,
    threshold_limits,
    threshold_metrics,
    threshold_ratio,
    threshold_ratio_limits,
)
from zsad.metrics.pixels import (
    aupimo,
    aupro,
    auspro,
    image_aupimo,
    pixel_ap,
    pixel_auroc,
    pixel_curves,
    pixel_f1_max,
    pixel_iou_max,
    pixel_limits,
    pixel_metrics,
)

__all__ = [
    "Curve",
    "Interval",
    "aupimo",
    "aupro",
    "auspro",
    "best_threshold",
    "decision_limits",
    "decision_metrics",
    "image_ap",
    "image_aupimo",
    "image_auroc",
    "image_curves",
    "image_f1_max",
    "image_limits",
    "image_metrics",
    "image_overlaps",
    "mask_limits",
    "mask_metrics",
    "pixel_ap",
    "pixel_auroc",
    "pixel_curves",
    "pixel_f1_max",
    "pixel_iou_max",
    "pixel_limits",
    "pixel_metrics",
    "threshold_limits",
    "threshold_metrics",
    "threshold_ratio",
    "threshold_ratio_limits",
]
