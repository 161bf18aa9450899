"""What every threshold rule is: from the scores of a category to a threshold for patches and one for images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from zsad.registry import Choice

BY_REGIONS = float("nan")  # in place of a threshold for images


class Evidence(NamedTuple):
    """What a rule may look at; no label is among it.

    Attributes:
        maps: the anomaly map of every test image, float32 ``[row, column]`` on its patch grid; sizes may differ. Empty
            from a method that does not localise.
        image_scores: of the test images, float64 ``[image]``.
        reference_maps: the same of the reference images, each scored as if it were none of the references; empty where
            the rule does not ask for them.
        reference_scores: their image scores.
    """

    maps: Sequence[np.ndarray]
    image_scores: np.ndarray
    reference_maps: Sequence[np.ndarray] = ()
    reference_scores: np.ndarray = np.empty(0)


class Thresholds(NamedTuple):
    """What exceeds them is defective: ``pixel`` for the values of maps, ``image`` for image scores.

    With the ``image`` threshold `BY_REGIONS` an image is defective if any of its pixels is.
    """

    pixel: float
    image: float


class ThresholdRule(Choice):
    """A way to tell defective patches and images from good ones.

    Class attributes:
        reference: where the rule comes from.
        needs_references: whether it looks at the scores of reference images.
        without_maps: how a rule that needs maps can do without, if it can.
    """

    reference: ClassVar[str]
    needs_references: ClassVar[bool] = False
    without_maps: ClassVar[str] = ""

    @property
    def needs_maps(self) -> bool:
        """Whether it cannot do with image scores alone."""
        return False

    @abstractmethod
    def thresholds(self, evidence: Evidence) -> Thresholds:
        """Thresholds of a category, in the units of its maps and image scores."""


class BatchRule(ThresholdRule):
    """A rule that looks at the test images of a category together.

    Image scores are sums over the highest values of a map and in its unit. One threshold, found from the maps, serves
    for both: most patches are good wherever most images may be defective, so that the patches say what is normal.
    Where there are no maps, the image scores stand in for their values.
    """

    @abstractmethod
    def threshold(self, maps: Sequence[np.ndarray]) -> float:
        """Threshold in the unit of the maps, float32 ``[row, column]`` each."""

    def thresholds(self, evidence: Evidence) -> Thresholds:
        """One threshold for both."""
        if evidence.maps:
            threshold = self.threshold(evidence.maps)
            return Thresholds(threshold, threshold)
        return Thresholds(np.inf, self.threshold([evidence.image_scores[None].astype(np.float32)]))


def telling(maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The maps that are not constant; a constant one, such as that of a scorer that abstains, tells nothing."""
    return [anomaly_map for anomaly_map in maps if anomaly_map.min() < anomaly_map.max()]


def above_all(maps: Sequence[np.ndarray]) -> float:
    """The next float32 above every value of the maps: a threshold that nothing exceeds."""
    highest = np.float32(max(anomaly_map.max() for anomaly_map in maps))
    return float(np.nextafter(highest, np.float32(np.inf)))
