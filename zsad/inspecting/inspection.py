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
        decision: whether it is called defective; None where nothing says from which score on it is.
        threshold: what ``score`` must exceed to be called defective; NaN where any marked pixel is enough, or there is
            none.
        pixel_threshold: what the values of ``anomaly_map`` must exceed to be marked; infinite where the method does
            not localise, NaN where there is none.
        threshold_from: ``"given"``, ``"references"`` or ``"its own patches"``; empty where there is none.
        anomaly_map: float32 ``[height, width]`` at the photograph's own size, upright; the score everywhere where the
            method does not localise.
        mask: bool ``[height, width]``, what exceeds the threshold.
        regions: the 8-connected regions of the mask, the one with the highest peak first.
        note: a remark, usually empty.
    """

    path: Path | None
    score: float
    decision: bool | None
    threshold: float
    pixel_threshold: float
    threshold_from: str
    anomaly_map: np.ndarray
    mask: np.ndarray
    regions: list[Region]
    note: str = ""


@dataclass(frozen=True)
class Failure:
    """A photograph that could not be inspected.

    Attributes:
        path: of the photograph.
        error: why, a sentence.
    """

    path: Path
    error: DataError
