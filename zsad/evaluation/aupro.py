"""AUPRO: the area under the per-region overlap curve, up to a limit of the false-positive rate.

Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, on performance metrics: per-region overlap (PRO) is
the share of a ground-truth region that lies at or above the threshold, averaged over all regions of all images; it is
drawn over the false-positive rate among all normal pixels of all images, good ones included, and the area up to the
limit is divided by the limit. As in the authors' own script, the curve has a point at every distinct score, regions are
8-connected, and the curve is interpolated at the limit.

The saturated variant (AU-sPRO; Bergmann et al., IJCV 130, 2022, section 4) is the same area under the mean of saturated
overlaps, see `zsad.data.saturation`.
"""

from __future__ import annotations

import numpy as np

from zsad.evaluation.ranking import Ranking


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
        # Positives tied with negatives: the curve climbs along a straight line, cut at the limit.
        run = np.clip(limit - rate_above, 0.0, rate - rate_above)
        climbed = np.divide(run, rate - rate_above, out=np.zeros_like(run), where=rate > rate_above)
        area = (run * (before + 0.5 * climbed * (overlap - before))).sum(axis=-1)
    # Then false positives only, level until the next threshold.
    following = np.concatenate([rate_above[..., 1:], np.ones_like(rate_above[..., :1])], axis=-1)
    area += (overlap * (np.minimum(following, limit) - np.minimum(rate, limit))).sum(axis=-1)
    return np.where((ranking.positives > 0) & (ranking.negatives > 0), area / limit, np.nan)
