"""What every scorer is: a method's parameters, what features it needs, and how it scores them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from zsad.data.subsets import FeatureSet
from zsad.registry import Part
from zsad.store import FeatureReader


class ImageScore(NamedTuple):
    """What a scorer says of one test image.

    Attributes:
        index: position of the image among the test images.
        anomaly_map: float ``[row, column]`` on the image's patch grid; greater is more anomalous, and comparable
            between the images of a category (never normalised image by image).
        note: a remark that the tables show, e.g. ``"not symmetric"``; usually empty.
    """

    index: int
    anomaly_map: np.ndarray
    note: str = ""


class Scorer(Part):
    """A training-free scorer. A subclass is one method in one file; its fields are the method's parameters.

    Class attributes:
        summary: one sentence for listings and the page.
        reference: where the method comes from (paper, section), or that it is this project's own.
    """

    summary: ClassVar[str]
    reference: ClassVar[str]

    @property
    @abstractmethod
    def setting(self) -> str:
        """How much it sees: ``zero-shot-single``, ``zero-shot-batch``, ``few-shot-K`` or ``full-shot``."""

    @abstractmethod
    def feature_sets(self) -> dict[str, FeatureSet]:
        """The features it reads, by role; the role ``"test"`` is always there."""

    @abstractmethod
    def score(self, features: Mapping[str, FeatureReader], device: str) -> Iterator[ImageScore]:
        """Yield the score of every test image, each once, in any order.

        Args:
            features: open feature files, by the roles of `feature_sets`; read image by image or block by block.
            device: torch device for the matrix products, ``"cpu"``, ``"cuda"`` or ``"mps"``.

        Raises:
            DataError: too few images for the method.
        """
