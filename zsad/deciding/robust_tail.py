"""Robust tail: so many robust deviations above the median patch of the category."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.base import BatchRule, Evidence, above_all, values_of
from zsad.maps import informative_maps
from zsad.scoring.scales import upper_deviation


class RobustTail(BatchRule):
    """Median plus ``z`` upper deviations of all patches of the category.

    Most test *images* may be defective, but most *patches* are normal (97 % of the pixels of MVTec AD's test images),
    so that the lower five sixths of all patches describe the normal ones. The upper deviation is the distance from the
    median to the 84.13 % quantile, one standard deviation if the scores were normal. The usual 1.4826 MAD mixes in the
    lower half, which is shorter: distances are bounded below and skewed upwards.

    ``z`` allows for a tail heavier than the normal one: with an exponential tail, z = 5 leaves 1 normal patch in 600
    above the threshold, well below the 1 in 100 that the image score averages.
    """

    summary: ClassVar[str] = "Median of all patches plus z upper deviations (84.13 % quantile less median)."
    reference: ClassVar[str] = "Robust location and one-sided scale from quantiles; the choice is this project's own."
    needs_batch: ClassVar[bool] = False  # the patches of a single image are enough

    z: float = Field(5.0, gt=0, description="Upper deviations above the median; a higher value marks less.")

    def threshold(self, evidence: Evidence) -> float:
        """Threshold from the patches of all maps that are not constant; above everything if all are constant."""
        values = informative_maps(values_of(evidence))
        if not values:
            return above_all(values_of(evidence))
        patches = np.concatenate([anomaly_map.ravel() for anomaly_map in values]).astype(np.float64)
        median, deviation = upper_deviation(patches)
        return median + self.z * deviation
