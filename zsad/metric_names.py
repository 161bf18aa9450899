"""The metrics by the names of their columns; ``docs/metrics.md`` defines each."""

from __future__ import annotations

AUPRO_LIMITS = {"aupro": 0.3, "aupro_005": 0.05}
AUSPRO_LIMIT = 0.05

IMAGE_METRICS = ("image_auroc", "image_ap", "image_f1max")
PIXEL_METRICS = (
    *("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_ioumax"),
    *("aupro", "aupro_005", "aupimo", "auspro_005"),
)
RANKING_METRICS = IMAGE_METRICS + PIXEL_METRICS
MASK_METRICS = ("mask_precision", "mask_recall", "mask_f1", "mask_iou", "region_recall", "region_precision")
THRESHOLD_METRICS = (*MASK_METRICS, "decision_f1")
ALL_METRICS = RANKING_METRICS + THRESHOLD_METRICS
HEADLINE_METRICS = ("image_auroc", "aupro")
COMPARED_METRICS = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro", "mask_f1")

TITLES = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "image_f1max": "image F1-max",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pixel_f1max": "pixel F1-max",
    "pixel_ioumax": "pixel IoU-max",
    "aupro": "AUPRO",
    "aupro_005": "AUPRO 0.05",
    "aupimo": "AUPIMO",
    "auspro_005": "AU-sPRO 0.05",
    "mask_precision": "precision",
    "mask_recall": "recall",
    "mask_f1": "SegF1",
    "mask_iou": "IoU",
    "region_recall": "defects hit",
    "region_precision": "hits right",
    "decision_f1": "image F1",
}
