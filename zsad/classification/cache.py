"""Cache: every labelled example votes for its kind, with a weight that grows with its similarity to the image."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.classification.base import Classifier, one_hot


class Cache(Classifier):
    """The score of a kind is the sum of ``exp(-beta (1 - cosine))`` over its examples, divided by ``temperature``.

    It is a sum, as published, so that a kind with more examples has more weight. Tip-Adapter without texts has a
    ``beta`` of 5.5 and no temperature; the values of MVREC are the defaults.
    """

    summary: ClassVar[str] = "The kind with the greatest vote of its examples, weighted by similarity."
    reference: ClassVar[str] = (
        "Zhang et al., Tip-Adapter, ECCV 2022, section 3.1; without texts and for defect types: Lyu et al., MVREC, "
        "AAAI 2025 (arXiv:2412.16897)."
    )

    beta: float = Field(
        32.0, gt=0, le=1e6, description="how fast the weight of an example falls as the cosine falls from 1"
    )
    temperature: float = Field(0.11, ge=1e-6, description="divisor of the sums; small for probabilities near 0 and 1")

    def _scores(self, support: np.ndarray, kinds: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
        """The sum for each kind, from 0 to the number of its examples over the temperature."""
        similarity = np.exp(-self.beta * (1 - np.minimum(queries @ support.T, 1)))
        sums: np.ndarray = similarity @ one_hot(kinds, count) / self.temperature
        return sums
