"""A contrario: the number of patches of one image that would be as anomalous by chance."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.tail import RANKS, Tail, fit_tail

LEAST = 1e-6  # false alarms: further out a tail is no evidence


class AContrario(ThresholdRule):
    """The number of false alarms of an image, from its own patches alone.

    The tail is estimated from the ordinary ones of the image's ``n`` patches, from the median up to the share
    ``defective`` from the top: an exponential tail is fitted to their quantiles. The number of false alarms of the
    image is ``n`` times the share of patches that exceed its peak according to that tail: the expected number of
    equally anomalous patches in an image without a defect. The image is called defective if that number is at most
    ``false_alarms``. So each image has its own threshold, and a single photograph gets a verdict. A defect that covers
    more than the share ``defective`` of the image hides itself.
    """

    summary: ClassVar[str] = (
        "The expected number of equally anomalous patches in a normal image, from the image's own patches."
    )
    reference: ClassVar[str] = (
        "Number of false alarms: Desolneux, Moisan and Morel 2000; of anomaly maps: U-Flow, Tailanian et al. 2023."
    )

    false_alarms: float = Field(
        0.1, gt=0, description="Patches of a normal image that may exceed the threshold by chance, on average."
    )
    defective: float = Field(0.05, gt=0, lt=0.5, description="Share of an image that a defect covers, at most.")

    @property
    def needs_maps(self) -> bool:
        """True: the rule uses patches."""
        return True

    def decide(self, evidence: Evidence) -> Verdicts:
        """A threshold and a number of false alarms for each image."""
        region, pixel, expected = (np.empty(len(evidence)) for _ in range(3))
        for index, anomaly_map in enumerate(evidence.maps):
            region[index], pixel[index], expected[index] = self._of_image(anomaly_map)
        return Verdicts(
            evidence,
            region,
            pixel,
            significance=expected,
            measure="false_alarms",
            nominal=-np.expm1(-self.false_alarms),
        )

    def _of_image(self, anomaly_map: np.ndarray) -> tuple[float, float, float]:
        """Threshold for regions, for pixels, and number of false alarms of the peak."""
        peak, tail = float(anomaly_map.max()), self._tail(anomaly_map)
        if tail is None:  # all patches are equal
            return peak, peak, float(anomaly_map.size)
        region = tail.quantile(self.false_alarms / anomaly_map.size)
        expected = max(anomaly_map.size * float(tail.survival(np.array([peak]))[0]), LEAST)
        return region, self.reach([anomaly_map], region), expected

    def _tail(self, anomaly_map: np.ndarray) -> Tail | None:
        """The tail of the ordinary patches."""
        exceeded = np.geomspace(self.defective, 0.5, RANKS)
        return fit_tail(exceeded, np.quantile(anomaly_map, 1 - exceeded), curved=False)
