"""AUPRO: the area under the per-region overlap curve, up to a limit of the false-positive rate.

Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, on performance metrics: per-region overlap (PRO) is
the share of a ground-truth region that lies at or above the threshold, averaged over all regions of all images; it is
plotted over the false-positive rate among all normal pixels of all images, and the area up to the limit is divided by
the limit. As in the authors' own script, the curve has a point at every distinct score, regions are 8-connected, and
the curve is interpolated at the limit.

The saturated variant (AU-sPRO; Bergmann et al., IJCV 130, 2022, section 4) is the same area under the mean of saturated
overlaps, see `zsad.data.saturation`.

Published figures use other definitions too, which `AUPRO` has by name. docs/metrics.md has the differences in points:
at 200 linear thresholds 0.5 to 1.3 less, and nearly all of it where scores have a long tail; at 300 even rates 0.03
less at most.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Protocol

import numpy as np

from zsad.evaluation.ranking import Ranking

EXACT: Final = "exact"
EVEN_RATES = 300


def aupro(ranking: Ranking, overlap: np.ndarray, limit: float) -> np.ndarray:
    """Normalised area under the PRO curve ``[...]``.

    Args:
        ranking: of the pixels; its negatives are all normal pixels.
        overlap: ``[..., threshold]``, mean over the regions of the share at or above each threshold of the ranking.
        limit: greatest false-positive rate, in (0, 1].

    Returns:
        The area in 0..1; NaN where there is no defective or no normal pixel.
    """
    before = np.concatenate([np.zeros_like(overlap[..., :1]), overlap[..., :-1]], axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        negatives = ranking.negatives[..., None]
        rate_above, rate = ranking.false_positives_above / negatives, ranking.false_positives / negatives
        # Positives tied with negatives: the curve climbs along a straight line, cut at the limit. In place, for speed.
        width = rate - rate_above
        run = limit - rate_above
        np.clip(run, 0.0, width, out=run)
        climbed = np.divide(run, width, out=np.zeros_like(run), where=rate > rate_above)
        climbed *= 0.5
        climbed *= overlap - before
        climbed += before
        climbed *= run
        area = climbed.sum(axis=-1)
    # Then false positives only, level until the next threshold.
    following = np.concatenate([rate_above[..., 1:], np.ones_like(rate_above[..., :1])], axis=-1)
    np.minimum(following, limit, out=following)
    following -= np.minimum(rate, limit, out=rate)
    following *= overlap
    area += following.sum(axis=-1)
    return _where_known(ranking, area / limit)


def aupro_at_even_rates(ranking: Ranking, overlap: np.ndarray, limit: float) -> np.ndarray:
    """The same with 300 thresholds in place of every score, as in SubspaceAD's code; arguments as of `aupro`.

    The thresholds are the normal scores above which evenly spaced shares of the normal pixels lie, up to the limit;
    pixels at or above a threshold count. The curve begins at zero, is straight between its points, and is interpolated
    at the limit. The shares follow from the ranking alone, but for normal scores that equal each other and no defective
    one, which count as if they differed.
    """
    shape = overlap.shape[:-1]
    negatives = np.broadcast_to(ranking.negatives, shape).reshape(-1)
    ranked = (ranking.false_positives_above, ranking.false_positives, overlap)
    above, from_threshold, overlaps = (np.reshape(values, (negatives.size, -1)) for values in ranked)
    with np.errstate(invalid="ignore", divide="ignore"):
        areas = [
            _area_at_even_rates(negatives[row], above[row], from_threshold[row], overlaps[row], limit)
            for row in range(negatives.size)
        ]
    return _where_known(ranking, np.reshape(areas, shape))


def _area_at_even_rates(
    negatives: float, above: np.ndarray, from_threshold: np.ndarray, overlap: np.ndarray, limit: float
) -> float:
    if not overlap.size or not negatives:
        return np.nan
    wanted = np.linspace(0.0, limit, EVEN_RATES + 1)[1:]
    reached = negatives - np.floor((1.0 - wanted) * (negatives - 1))  # normal pixels from each threshold on
    lowest = np.searchsorted(above, reached, side="left") - 1  # defective score from each threshold on; -1 for none
    rates = np.where(lowest < 0, reached, np.maximum(reached, from_threshold[lowest])) / negatives
    heights = np.where(lowest < 0, 0.0, overlap[lowest])
    return _area_to(np.append(0.0, rates), np.append(0.0, heights), limit) / limit


def _area_to(rates: np.ndarray, heights: np.ndarray, limit: float) -> float:
    """Trapezoids up to the limit, where the curve is interpolated, or level after its end."""
    inside = rates <= limit
    return float(
        np.trapezoid(np.append(heights[inside], np.interp(limit, rates, heights)), np.append(rates[inside], limit))
    )


def aupro_stretched(ranking: Ranking, overlap: np.ndarray, limit: float) -> np.ndarray:
    """The area under the points below the limit, their rates stretched to 0..1, as in MuSc's code.

    MuSc takes it from CFLOW-AD: thresholds are evenly spaced between the least and the greatest score, see
    `zsad.evaluation.linear_thresholds`. There is no point at the limit nor at zero, unless a threshold gives one.

    Args:
        ranking, overlap: at these thresholds, above which scores count; other arguments as of `aupro`.

    Returns:
        The area in 0..1; NaN where fewer than two rates lie below the limit.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = ranking.false_positives / ranking.negatives[..., None]
    inside = rates < limit
    widths = np.where(
        inside[..., 1:], np.diff(rates, axis=-1), 0.0
    )  # rates rise, so that those below the limit come first
    area = (widths * 0.5 * (overlap[..., 1:] + overlap[..., :-1])).sum(axis=-1)
    greatest = np.where(inside, rates, -np.inf).max(axis=-1, initial=-np.inf)
    width = greatest - rates[..., 0] if rates.shape[-1] else np.full(area.shape, np.nan)
    stretched = np.divide(area, width, out=np.full(area.shape, np.nan), where=width > 0)
    return _where_known(ranking, stretched)


class AtThresholds(Protocol):
    """A definition of AUPRO; see `aupro`."""

    def __call__(self, ranking: Ranking, overlap: np.ndarray, limit: float) -> np.ndarray:
        """Normalised area ``[...]``."""


def _where_known(ranking: Ranking, areas: np.ndarray) -> np.ndarray:
    return np.where((ranking.positives > 0) & (ranking.negatives > 0), areas, np.nan)


LINEAR: Final = "thresholds200"
AUPRO: MappingProxyType[str, AtThresholds] = MappingProxyType(
    {EXACT: aupro, LINEAR: aupro_stretched, "fpr300": aupro_at_even_rates}
)
"""Definitions by their names; `LINEAR` has its own thresholds."""
