"""What each image's thresholded map marks, and what is decided of the image; no label is needed for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zsad.data.manifest import ImageRecord
from zsad.evaluation.defects import region_areas
from zsad.files.scores import ScoreReader
from zsad.maps import at_image_size


class Marks(NamedTuple):
    """What the thresholded map marks at its image's own size, before any refiner.

    Attributes:
        regions: number of 8-connected regions.
        share: of the image's pixels.
    """

    regions: int
    share: float


NOTHING = Marks(0, 0.0)


def marks_of(scores: ScoreReader, records: Sequence[ImageRecord]) -> list[Marks | None]:
    """The marks of every image, read one at a time; None where the method does not localise."""
    if not scores.localises:
        return [None] * len(records)
    return [
        marks_above(scores.anomaly_map(index), scores.threshold, record.height, record.width)
        for index, record in enumerate(records)
    ]


def marks_above(anomaly_map: np.ndarray, threshold: float, height: int, width: int) -> Marks:
    """What a map, float ``[row, column]``, marks in its image of ``height x width``."""
    if not (anomaly_map > threshold).any():  # no value between patches is greater than theirs
        return NOTHING
    _, areas = region_areas(at_image_size(anomaly_map, height, width) > threshold)
    return Marks(len(areas), float(areas.sum() / (height * width)))


def decisions(scores: ScoreReader, marks: Sequence[Marks | None]) -> np.ndarray:
    """bool ``[image]``, which are called defective: by the threshold of images or, where that is NaN, by any mark."""
    if np.isnan(scores.image_threshold):
        return np.array([mark is not None and mark.regions > 0 for mark in marks], dtype=bool)
    return scores.image_scores > scores.image_threshold
