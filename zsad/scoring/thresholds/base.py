"""What every threshold rule is: from the maps of a category to one number, without labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from zsad.registry import Part


class ThresholdRule(Part):
    """A way to tell defective patches and images from good ones; what exceeds the threshold is defective.

    Class attributes:
        summary: one sentence for listings and the page.
        reference: where the rule comes from.
    """

    summary: ClassVar[str]
    reference: ClassVar[str]

    @abstractmethod
    def threshold(self, maps: Sequence[np.ndarray]) -> float:
        """Threshold of a category, in the unit of its maps.

        Args:
            maps: the anomaly map of every test image, float32 ``[row, column]`` on its patch grid; sizes may differ.
        """


def telling(maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The maps that are not constant; a constant one, such as that of a scorer that abstains, tells nothing."""
    return [anomaly_map for anomaly_map in maps if anomaly_map.min() < anomaly_map.max()]


def above_all(maps: Sequence[np.ndarray]) -> float:
    """The next float32 above every value of the maps: a threshold that nothing exceeds."""
    highest = np.float32(max(anomaly_map.max() for anomaly_map in maps))
    return float(np.nextafter(highest, np.float32(np.inf)))
