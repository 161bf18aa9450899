"""What is said of a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zsad.errors import DataError

if TYPE_CHECKING:
    from zsad.exporting.regions import Region


@dataclass(frozen=True, eq=False)
class Inspection:
    """What is said of one photograph.

    Attributes:
        path: of the photograph; None for an array.
        score: greater is more anomalous, in the unit of the model's scores; as the workflow stores it, in float32.
            Photographs are ranked by it.
        peak: the highest value of the anomaly map on its patch grid, by which it is decided; the score where the method
            does not localise.
        decision: whether it is called defective: whether ``peak`` exceeds ``threshold``; None where nothing says from
            which peak on it is.
        threshold: what the highest value of a region must exceed for the region to be marked, and the photograph to be
            called defective; NaN where there is none.
        pixel_threshold: what the values of a marked region exceed, ``threshold`` at most; infinite where the method
            does not localise, NaN where there is none.
        threshold_from: ``"given"``, ``"references"`` or ``"its own patches"``; empty where there is none.
        p_value: how likely a good photograph is to have so high a peak, 0 to 1; NaN where the rule does not say.
        false_alarms: how many regions with so high a peak one expects in a good photograph; NaN likewise.
        anomaly_map: float32 ``[height, width]`` at the photograph's own size, upright; the peak of each marked region
            is put on the nearest pixel. The score everywhere where the method does not localise.
        mask: bool ``[height, width]``, the marked regions: there is one if and only if the photograph is called
            defective by a method that localises.
        regions: the 8-connected regions of the mask, the one with the highest peak first.
        note: a remark on the photograph, usually empty.
        remarks: sentences on how it was decided, e.g. that the references are few; the same for all photographs that
            were decided likewise, and often none.
        localises: whether the method does.
    """

    path: Path | None
    score: float
    peak: float
    decision: bool | None
    threshold: float
    pixel_threshold: float
    threshold_from: str
    p_value: float
    false_alarms: float
    anomaly_map: np.ndarray
    mask: np.ndarray
    regions: list[Region]
    note: str = ""
    remarks: tuple[str, ...] = ()
    localises: bool = True


@dataclass(frozen=True)
class Failure:
    """A photograph that could not be inspected.

    Attributes:
        path: of the photograph.
        error: why, a sentence.
    """

    path: Path
    error: DataError
