"""Bounds of the pixel metrics if scores were rounded to levels.

The order within a level is then unknown. Each metric can only gain when a defective pixel is moved before a normal one,
so that its value lies between those of the two extreme orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from zsad.evaluation.aupro import AUPRO, EXACT, LINEAR, aupro
from zsad.evaluation.ranking import Ranking, auroc, average_precision, f1_max, iou_max, share
from zsad.names import AUPRO_LIMITS, AUSPRO_LIMIT


def error_bounds(
    ranking: Ranking, overlap: np.ndarray, saturated: np.ndarray | None, definition: str = EXACT
) -> dict[str, float]:
    """The greatest possible error of each metric if levels count as ties.

    Args:
        ranking, overlap, saturated: as in `zsad.evaluation.pixels.PixelStatistics`.
        definition: of AUPRO; at linear thresholds nothing is rounded.
    """
    normal_first = replace(ranking, false_positives_above=ranking.false_positives)
    defective_first = replace(ranking, false_positives=ranking.false_positives_above)
    metrics: dict[str, Callable[[Ranking], np.ndarray]] = {
        "pixel_auroc": auroc,
        "pixel_f1max": f1_max,
        "pixel_ioumax": iou_max,
        **{
            name: partial(AUPRO[definition], overlap=overlap, limit=limit)
            for name, limit in AUPRO_LIMITS.items()
            if definition != LINEAR
        },
    }
    if saturated is not None:
        metrics["auspro_005"] = partial(aupro, overlap=saturated, limit=AUSPRO_LIMIT)
    bounds = {
        name: _widest(metric(ranking), metric(normal_first), metric(defective_first))
        for name, metric in metrics.items()
    }
    bounds["pixel_ap"] = _widest(
        average_precision(ranking), _least_average_precision(ranking), average_precision(defective_first)
    )
    return bounds


def _least_average_precision(ranking: Ranking) -> np.ndarray:
    """With the normal pixels of a level first, no defective pixel has less precision than those before the level."""
    before = np.concatenate([[0], ranking.true_positives[:-1]])
    precision = share(before, before + ranking.false_positives)
    least: np.ndarray = (np.diff(ranking.true_positives, prepend=0) * precision).sum() / ranking.positives
    return least


def _widest(value: np.ndarray, least: np.ndarray, greatest: np.ndarray) -> float:
    return float(max(value - least, greatest - value))
