"""The result for a photograph."""

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
    """The result for one photograph.

    Attributes:
        path: path of the photograph; None for an array.
        score: anomaly score in the unit of the model's scores, greater is more anomalous; rounded to float32 as in the
            workflow. Photographs are ranked by it.
        peak: the highest value of the anomaly map on its patch grid, which decides; the score if the method does not
            localise.
        decision: whether it is called defective: whether ``peak`` exceeds ``threshold``; None if there is no
            threshold.
        threshold: a region is marked, and the photograph is called defective, if the highest value of the region
            exceeds this; NaN if there is none.
        pixel_threshold: the values of a marked region exceed this; at most ``threshold``; infinite if the method does
            not localise, NaN if there is none.
        threshold_from: ``"given"``, ``"references"`` or ``"its own patches"``; empty if there is none.
        p_value: probability of such a high peak in a normal photograph, 0 to 1; NaN if the rule does not give it.
        false_alarms: expected number of regions with such a high peak in a normal photograph; NaN likewise.
        anomaly_map: float32 ``[height, width]`` at the photograph's own size, upright; the peak of each marked region
            is put on the nearest pixel. If the method does not localise, all values are the score.
        mask: bool ``[height, width]``, the marked regions; not empty if and only if the photograph is called
            defective by a method that localises.
        regions: the 8-connected regions of the mask, the one with the highest peak first.
        note: a remark on the photograph, usually empty.
        remarks: sentences on the decision, e.g. that there are few references; the same for all photographs with the
            same kind of decision, and often empty.
        localises: whether the method gives maps.
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
        error: the reason, a sentence.
    """

    path: Path
    error: DataError
