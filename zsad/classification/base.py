"""Interface of classifiers: from labelled embeddings to a score of each kind for other embeddings."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from zsad.registry import Choice

NO_LENGTH = 1e-12  # of a difference of unit vectors: below it is only rounding


class Classifier(Choice):
    """Base class of classifiers of embeddings. A subclass is one method in one file; its fields are its parameters.

    Features whose cosines are all near 1 differ by little from their mean. ``centre`` subtracts it, as SimpleShot does
    (Wang, Chao, Weinberger and van der Maaten, arXiv:1911.04623, 2019; there the mean of the classes that the network
    was trained on, which are not available here).

    Class attributes:
        reference: source (paper, section).
    """

    reference: ClassVar[str]

    centre: Literal["none", "support"] = Field(
        "none",
        description="support subtracts the mean of the examples, with equal weight for each kind, from every embedding "
        "and scales its length to 1: for features whose cosines are all near 1",
    )

    def scores(self, support: np.ndarray, kinds: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
        """Similarity of each query to each kind; greater is more similar.

        The scores of a query depend only on the support and on the query.

        Args:
            support: float64 ``[example, channel]``, rows of unit length.
            kinds: int ``[example]``, the kind of each, from 0 to ``count - 1``; each kind has an example.
            queries: float64 ``[query, channel]``, likewise.
            count: how many kinds there are.

        Returns:
            float64 ``[query, kind]``, finite.
        """
        if self.centre == "support":
            mean = means_of(support, kinds, count).mean(axis=0)
            support, queries = unit_rows(support - mean), unit_rows(queries - mean)
        return self._scores(support, kinds, queries, count)

    @abstractmethod
    def _scores(self, support: np.ndarray, kinds: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
        """Like `scores`, for embeddings that are centred if ``centre`` is set; a row may then be zero."""


def unit_rows(values: np.ndarray) -> np.ndarray:
    """Each row divided by its length. A row whose length is only rounding becomes zero: it resembles nothing."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    rows: np.ndarray = np.divide(values, lengths, out=np.zeros_like(values), where=lengths > NO_LENGTH)
    return rows


def one_hot(kinds: np.ndarray, count: int) -> np.ndarray:
    """float64 ``[example, kind]``, 1 for the kind of each example and 0 for others."""
    members: np.ndarray = np.eye(count)[kinds]
    return members


def means_of(support: np.ndarray, kinds: np.ndarray, count: int) -> np.ndarray:
    """The mean embedding of each kind, float64 ``[kind, channel]``."""
    members = one_hot(kinds, count)
    means: np.ndarray = members.T @ support / members.sum(axis=0)[:, None]
    return means
