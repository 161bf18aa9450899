"""What every classifier is: from labelled embeddings to a score of each kind for others."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from zsad.registry import Choice

NO_LENGTH = 1e-12  # of a difference of unit vectors: below it there is only rounding


class Classifier(Choice):
    """A classifier of embeddings. A subclass is one method in one file; its fields are the method's parameters.

    Features whose cosines are all near 1 differ by little from their mean. ``centre`` takes it off, as SimpleShot does
    (Wang, Chao, Weinberger and van der Maaten, arXiv:1911.04623, 2019; there the mean of the classes that the network
    was trained on, which are not at hand here).

    Class attributes:
        reference: where it comes from (paper, section).
    """

    reference: ClassVar[str]

    centre: Literal["none", "support"] = Field(
        "none",
        description="support subtracts the mean of the examples, of each kind alike, from every embedding and makes "
        "its length 1 again: for features whose cosines are all near 1",
    )

    def scores(self, support: np.ndarray, kinds: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
        """How much each query resembles each kind; greater is more alike.

        A query's scores depend on the support and on itself alone.

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
        """The same of embeddings that are centred, if they are to be; a row may be zero then."""


def unit_rows(values: np.ndarray) -> np.ndarray:
    """Each row divided by its length. What has none but for rounding is zero: it resembles nothing."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    rows: np.ndarray = np.divide(values, lengths, out=np.zeros_like(values), where=lengths > NO_LENGTH)
    return rows


def one_hot(kinds: np.ndarray, count: int) -> np.ndarray:
    """float64 ``[example, kind]``, 1 for the kind of each and 0 for others."""
    members: np.ndarray = np.eye(count)[kinds]
    return members


def means_of(support: np.ndarray, kinds: np.ndarray, count: int) -> np.ndarray:
    """The mean embedding of each kind, float64 ``[kind, channel]``."""
    members = one_hot(kinds, count)
    means: np.ndarray = members.T @ support / members.sum(axis=0)[:, None]
    return means
