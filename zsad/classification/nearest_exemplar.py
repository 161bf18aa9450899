"""Nearest exemplar: an image is of the kind of the labelled example that it resembles most."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from zsad.classification.base import Classifier


class NearestExemplar(Classifier):
    """The score of a kind is the greatest cosine between the image and the examples of that kind."""

    summary: ClassVar[str] = "The kind of the most similar example."
    reference: ClassVar[str] = (
        "Megahed, Chen, Colosimo, Grasso, Jones-Farmer, Knoth, Sun and Zwetsloot, arXiv:2501.12596, 2025, for two "
        "classes; here for any number."
    )

    def _scores(self, support: np.ndarray, kinds: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
        """The greatest cosine for each kind, in ``[-1, 1]``."""
        cosines = queries @ support.T
        return np.stack([cosines[:, kinds == kind].max(axis=1) for kind in range(count)], axis=1)
