"""What every classifier is: from labelled embeddings to a score of each kind for others."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from zsad.registry import Choice


class Classifier(Choice):
    """A classifier of embeddings. A subclass is one method in one file; its fields are the method's parameters.

    Class attributes:
        reference: where it comes from (paper, section).
    """

    reference: ClassVar[str]

    @abstractmethod
    def scores(self, support: np.ndarray, kinds: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
        """How much each query resembles each kind; greater is more alike.

        A query's scores depend on the support and on itself alone.

        Args:
            support: float64 ``[example, channel]``, rows of unit length.
            kinds: int ``[example]``, the kind of each, from 0 to ``count - 1``; each kind has an example.
            queries: float64 ``[query, channel]``, likewise.
            count: how many kinds there are.

        Returns:
            float64 ``[query, kind]``.
        """
