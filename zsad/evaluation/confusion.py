"""Decisions at a fixed threshold against the truth: precision, recall, F1, IoU, accuracy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Confusion(NamedTuple):
    """Counts of right and wrong decisions about images or pixels.

    A ratio over nothing is NaN.
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    true_negatives: int = 0

    @classmethod
    def of(cls, decided: np.ndarray, truth: np.ndarray) -> Confusion:
        """Count two bool arrays of one shape."""
        both, called, positive = (int(np.count_nonzero(part)) for part in (decided & truth, decided, truth))
        return cls(both, called - both, positive - both, truth.size - called - positive + both)

    def plus(self, other: Confusion) -> Confusion:
        """Counts of both together."""
        return Confusion(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def precision(self) -> float:
        """Share of the decisions for "defective" that are right."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of what is defective that was found."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall (the Dice coefficient of a mask)."""
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def iou(self) -> float:
        """Intersection over union."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)

    @property
    def accuracy(self) -> float:
        """Share of all decisions that are right."""
        return _ratio(self.true_positives + self.true_negatives, sum(self))


def mask_metrics(confusion: Confusion) -> dict[str, float]:
    """Precision, recall, F1 and IoU of a category's pixels; NaN where no pixel is known to be defective."""
    return _of_defects(confusion) | {"iou": confusion.iou if _has_positives(confusion) else np.nan}


def decision_metrics(confusion: Confusion) -> dict[str, float]:
    """Precision, recall, F1 (NaN where no image is known to be defective) and accuracy of a category's images."""
    return _of_defects(confusion) | {"accuracy": confusion.accuracy}


def _of_defects(confusion: Confusion) -> dict[str, float]:
    if not _has_positives(confusion):
        return dict.fromkeys(("precision", "recall", "f1"), np.nan)
    found_nothing = confusion.true_positives + confusion.false_positives == 0
    # Precision 0, not NaN, so that a method that finds nothing cannot drop out of a mean over categories.
    precision = 0.0 if found_nothing else confusion.precision
    return {"precision": precision, "recall": confusion.recall, "f1": confusion.f1}


def _has_positives(confusion: Confusion) -> bool:
    return confusion.true_positives + confusion.false_negatives > 0


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else np.nan
