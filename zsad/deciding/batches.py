"""What the rules share that go by the peaks of a batch: whose peaks count, and where to cut between two of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zsad.deciding.base import Evidence, Verdicts, above_all, median_patch, values_of
from zsad.maps import telling

NOTHING_DIFFERS = "The patches of the images do not differ enough to tell good ones, so no image is called defective."
PRESUMED = 0.1  # share of defective images: the low quantile of all images is a less low one of the good
ENOUGH = 8  # images, to tell what good ones are like
LEAST_HEIGHT = 1e-3  # relative to the highest peak's: the logarithm of an image below the ordinary patch


def telling_peaks(evidence: Evidence) -> np.ndarray:
    """The peaks of the images whose map is not constant, rising; float64 ``[image]``.

    Without maps they are the image scores. A constant map tells nothing: a method that abstains gives it.
    """
    if not evidence.localises:
        return np.sort(evidence.peaks)
    return np.sort([float(anomaly_map.max()) for anomaly_map in telling(evidence.maps)])


def ordinary_value(evidence: Evidence) -> float:
    """The median of all patches of the maps that are not constant, of which there is one at least."""
    return median_patch(telling(evidence.maps))


def log_heights(peaks: np.ndarray, ordinary: float) -> np.ndarray:
    """Logarithms of the heights of rising peaks above an ordinary patch, none below a thousandth of the highest."""
    heights = peaks - ordinary
    logarithms: np.ndarray = np.log(np.maximum(heights, heights[-1] * LEAST_HEIGHT))
    return logarithms


def between(low: float, high: float) -> float:
    """The float32 half-way between two, such that ``high`` exceeds it and ``low`` does not."""
    middle = np.float32((low + high) / 2)
    return float(middle) if low <= middle < high else low


def calls_nothing(evidence: Evidence, *, nominal: float = np.nan, remarks: Sequence[str] = ()) -> Verdicts:
    """That no image is defective."""
    nothing = above_all(values_of(evidence))
    return Verdicts(evidence, nothing, nothing, nominal=nominal, remarks=remarks)


def few_images(evidence: Evidence) -> list[str]:
    """A remark that so few images hardly tell what good ones are like, if so."""
    count = len(evidence)
    if count >= ENOUGH:
        return []
    return [f"With fewer than {ENOUGH} images ({count} here) the rule hardly knows what good ones are like."]
