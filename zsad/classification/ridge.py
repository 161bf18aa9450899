"""Ridge: a linear map from embeddings to kinds, in closed form."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.classification.base import Classifier, one_hot


class Ridge(Classifier):
    """Ridge regression, with an intercept, of 1 for the kind of an example and 0 for the others.

    All kinds have equal weight, whatever their number of examples, and the mean weight of an example is 1. With fewer
    examples than channels the dual problem is solved, whose size is the number of examples.
    """

    summary: ClassVar[str] = "The kind by ridge regression of the kinds on the embeddings."
    reference: ClassVar[str] = (
        "Hoerl and Kennard, Technometrics 1970; on a few examples: Bertinetto et al., ICLR 2019 (arXiv:1805.08136)."
    )

    penalty: float = Field(0.1, ge=1e-9, description="weight of the squared coefficients against the squared errors")

    def _scores(self, support: np.ndarray, kinds: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
        """The regression for each kind, about from 0 to 1; the sum over the kinds is 1."""
        targets = one_hot(kinds, count)
        weights = (len(kinds) / (count * targets.sum(axis=0)))[kinds]
        mean, roots = weights @ support / len(kinds), np.sqrt(weights)[:, None]
        coefficients = self._coefficients(roots * (support - mean), roots * targets)
        fitted: np.ndarray = (queries - mean) @ coefficients + 1 / count
        return fitted

    def _coefficients(self, rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """float64 ``[channel, kind]`` of ``rows`` that are centred and weighted; so the targets need not be centred."""
        examples, channels = rows.shape
        coefficients: np.ndarray
        if examples < channels:
            coefficients = rows.T @ np.linalg.solve(rows @ rows.T + self.penalty * np.eye(examples), targets)
        else:
            coefficients = np.linalg.solve(rows.T @ rows + self.penalty * np.eye(channels), rows.T @ targets)
        return coefficients
