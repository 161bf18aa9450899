"""Helpers of the rules that use the peaks of a batch: which peaks count, and where to cut between two of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zsad.deciding.base import Evidence, Verdicts, above_all, median_patch, values_of
from zsad.maps import informative_maps

NOTHING_DIFFERS = (
    "The patches of the images do not differ enough to identify normal ones, so no image is called defective."
)
PRESUMED = (
    0.1  # share of defective images: a low quantile of all images is a somewhat higher quantile of the normal ones
)
ENOUGH = 8  # images, the fewest from which normal ones can be modelled
LEAST_HEIGHT = 1e-3  # relative to the highest peak's: the logarithm of an image below the ordinary patch


def informative_peaks(evidence: Evidence) -> np.ndarray:
    """The peaks of the images whose map is not constant, rising; float64 ``[image]``.

    Without maps they are the image scores. A constant map is the result of a method that abstains, and is ignored.
    """
    if not evidence.localises:
        return np.sort(evidence.peaks)
    return np.sort([float(anomaly_map.max()) for anomaly_map in informative_maps(evidence.maps)])


def ordinary_value(evidence: Evidence) -> float:
    """The median of all patches of the maps that are not constant; at least one map is not."""
    return median_patch(informative_maps(evidence.maps))


def log_heights(peaks: np.ndarray, ordinary: float) -> np.ndarray:
    """Logarithms of the heights of rising peaks above an ordinary patch, none below a thousandth of the highest."""
    heights = peaks - ordinary
    logarithms: np.ndarray = np.log(np.maximum(heights, heights[-1] * LEAST_HEIGHT))
    return logarithms


def between(low: float, high: float) -> float:
    """The float32 half-way between two values, such that ``high`` exceeds it and ``low`` does not."""
    middle = np.float32((low + high) / 2)
    return float(middle) if low <= middle < high else low


def call_none(evidence: Evidence, *, nominal: float = np.nan, remarks: Sequence[str] = ()) -> Verdicts:
    """Verdicts that call no image defective."""
    nothing = above_all(values_of(evidence))
    return Verdicts(evidence, nothing, nothing, nominal=nominal, remarks=remarks)


def few_images(evidence: Evidence) -> list[str]:
    """A remark if there are too few images to model normal ones; else empty."""
    count = len(evidence)
    if count >= ENOUGH:
        return []
    return [f"With fewer than {ENOUGH} images ({count} here) the rule cannot reliably model normal images."]
