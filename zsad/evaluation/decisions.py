"""Decisions about images against the ground truth: precision, recall, F1, accuracy and the share of false alarms."""

from __future__ import annotations

import numpy as np

from zsad.evaluation.ranking import share


def decision_counts(decided: np.ndarray, defective: np.ndarray) -> np.ndarray:
    """int64 ``[image, 4]``: which of true positive, false positive, false negative, true negative each image is.

    Args:
        decided, defective: bool ``[image]``.
    """
    return np.stack([decided & defective, decided & ~defective, ~decided & defective, ~decided & ~defective], 1).astype(
        np.int64
    )


def decision_metrics(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics ``[...]`` of counts ``[..., 4]`` that were added up.

    Precision, recall and F1 are NaN where no image is known to be defective; the precision is 0 where none is called
    defective, so that a method that finds nothing still counts in a mean over categories. The false-positive rate
    ``decision_fpr``, the share of normal images that are called defective, is NaN where no image is known to be normal;
    the accuracy is NaN over no image.
    """
    found, wrong, missed, passed = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    every = found + wrong + missed + passed
    metrics = {
        "decision_precision": share(found, found + wrong),
        "decision_recall": share(found, found + missed),
        "decision_f1": share(2 * found, 2 * found + wrong + missed),
    }
    known = {name: np.where(found + missed > 0, value, np.nan) for name, value in metrics.items()}
    return known | {
        "decision_accuracy": np.where(every > 0, share(found + passed, every), np.nan),
        "decision_fpr": np.where(wrong + passed > 0, share(wrong, wrong + passed), np.nan),
    }
