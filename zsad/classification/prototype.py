"""Prototype: an image is of the kind whose examples it resembles on average."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from zsad.classification.base import Classifier, means_of, unit_rows


class Prototype(Classifier):
    """The score of a kind is the cosine between the image and the mean of the examples of that kind."""

    summary: ClassVar[str] = "The kind with the most similar mean of its examples."
    reference: ClassVar[str] = "Snell, Swersky and Zemel, NeurIPS 2017, of fixed features and by cosines."

    def _scores(self, support: np.ndarray, kinds: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
        """The cosine for each kind, in ``[-1, 1]``; 0 for a kind whose examples cancel out."""
        cosines: np.ndarray = queries @ unit_rows(means_of(support, kinds, count)).T
        return cosines
