"""The decision on one image, and the numbers behind it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from zsad.files.decisions import Decided
from zsad.maps import Thresholds


class Decision(NamedTuple):
    """Decision on an image.

    Attributes:
        defective: whether it is called defective: whether ``peak`` exceeds ``region_threshold``; None if the threshold
            is not known.
        peak: the highest value of its map on the patch grid, or the image score of a method without maps.
        region_threshold, pixel_threshold: see `zsad.maps.Thresholds`; NaN where there are none.
        p_value: how likely a normal image is to have so high a peak; NaN if the rule gives none.
        false_alarms: the expected number of equally high regions in a normal image; NaN likewise.
    """

    defective: bool | None
    peak: float
    region_threshold: float = math.nan
    pixel_threshold: float = math.nan
    p_value: float = math.nan
    false_alarms: float = math.nan

    @property
    def thresholds(self) -> Thresholds:
        """Both thresholds."""
        return Thresholds(self.pixel_threshold, self.region_threshold)


def decision_of(index: int, decided: Decided, peaks: np.ndarray) -> Decision:
    """The decision on one of the images that were decided together.

    Args:
        peaks: float ``[image]``, the values that decided.
    """
    significance = float(decided.significance[index])
    return Decision(
        defective=bool(decided.decided[index]),
        peak=float(peaks[index]),
        region_threshold=float(decided.region[index]),
        pixel_threshold=float(decided.pixel[index]),
        p_value=significance if decided.measure == "p_value" else math.nan,
        false_alarms=significance if decided.measure == "false_alarms" else math.nan,
    )
