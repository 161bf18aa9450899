"""Cache: every labelled example speaks for its kind, the louder the more the image resembles it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.classification.base import Classifier, one_hot


class Cache(Classifier):
    """The score of a kind is the sum of ``exp(-beta (1 - cosine))`` over its examples, divided by ``temperature``.

    It is a sum, as published, so that a kind with more examples is louder. Tip-Adapter without texts has a ``beta`` of
    5.5 and no temperature; the values of MVREC are the defaults.
    """

    summary: ClassVar[str] = "The kind whose examples speak for it loudest, each by how similar it is."
    reference: ClassVar[str] = (
        "Zhang et al., Tip-Adapter, ECCV 2022, section 3.1; without texts and for kinds of defects: Lyu et al., MVREC, "
        "AAAI 2025 (arXiv:2412.16897)."
    )

    beta: float = Field(32.0, gt=0, le=1e6, description="how fast an example falls silent as the cosine falls from 1")
    temperature: float = Field(
        0.11, ge=1e-6, description="what the sums are divided by; small for probabilities near 0 and 1"
    )

    def _scores(self, support: np.ndarray, kinds: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
        """The sum a kind, from 0 to the number of its examples over the temperature."""
        similarity = np.exp(-self.beta * (1 - np.minimum(queries @ support.T, 1)))
        sums: np.ndarray = similarity @ one_hot(kinds, count) / self.temperature
        return sums
