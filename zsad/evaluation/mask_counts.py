"""Counts of a binary mask: pixels, and single defects, since an inspector counts defects that are hit or missed.

A defect, an 8-connected region of the ground truth, is hit if the mask marks any pixel of it; an 8-connected component
of the mask is right if it touches a defect. Neither shows how well the outlines agree: precision, recall, F1 and IoU of
pixels do, pooled over all images. This F1 is the SegF1 of MVTec AD 2 (Heckler-Kram et al., arXiv:2503.21622).
"""

from __future__ import annotations

import numpy as np

from zsad.evaluation.defects import region_areas
from zsad.evaluation.ranking import share

TRUE_POSITIVES, FALSE_POSITIVES, FALSE_NEGATIVES, REGIONS, HIT, COMPONENTS, RIGHT = range(7)
COUNTED = 7


def mask_counts(mask: np.ndarray, ground_truth: np.ndarray | None) -> np.ndarray:
    """Count what a mask finds in an image.

    Args:
        mask: bool ``[height, width]``.
        ground_truth: of the same shape; None for a normal image.

    Returns:
        int64 ``[7]``: true positive, false positive and false negative pixels; ground-truth regions, and how many are
        hit; components of the mask, and how many are right.
    """
    counts = np.zeros(COUNTED, np.int64)
    marked = int(np.count_nonzero(mask))
    found = np.zeros_like(mask) if ground_truth is None else mask & ground_truth
    if marked:
        component, areas = region_areas(mask)
        counts[COMPONENTS] = areas.size
        counts[RIGHT] = np.unique(component[found[mask]]).size
    if ground_truth is not None:
        counts[TRUE_POSITIVES] = np.count_nonzero(found)
        counts[FALSE_NEGATIVES] = np.count_nonzero(ground_truth) - counts[TRUE_POSITIVES]
        region, areas = region_areas(ground_truth)
        counts[REGIONS] = areas.size
        counts[HIT] = np.unique(region[found[ground_truth]]).size
    counts[FALSE_POSITIVES] = marked - counts[TRUE_POSITIVES]
    return counts


def mask_metrics(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics ``[...]`` of counts ``[..., 7]`` that were added up; all NaN where nothing is defective.

    The precision of a mask that marks nothing is 0, not NaN, so that a method that finds nothing still counts in a mean
    over categories.
    """
    counts = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    right, wrong, missed, regions, hit, components, components_right = counts
    known = right + missed > 0
    metrics = {
        "mask_precision": share(right, right + wrong),
        "mask_recall": share(right, right + missed),
        "mask_f1": share(2 * right, 2 * right + wrong + missed),
        "mask_iou": share(right, right + wrong + missed),
        "region_recall": share(hit, regions),
        "region_precision": share(components_right, components),
    }
    return {name: np.where(known, value, np.nan) for name, value in metrics.items()}
