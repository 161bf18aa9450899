"""Mixture: two Gaussian distributions, of normal and of defective images, if two describe the peaks better than one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.batches import call_none, informative_peaks, log_heights, ordinary_value

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

FEWEST = 8  # images: more than the five parameters of two Gaussian distributions
STARTS = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95)  # shares of normal images that the fit starts from
FLOOR = 1e-2  # least variance of a component where all peaks together have 1: no component of a few equal peaks
HALVINGS = 60


class Mixture(ThresholdRule):
    """The threshold at which an image belongs to either of two Gaussian distributions with the same probability.

    They are fitted to the logarithms of the peaks' heights above the ordinary patch (the median of all patches), in
    which normal images are about Gaussian distributed, and defects of many sizes too; a method without maps has no
    ordinary patch, and its image scores are taken as they are. Both are standardised, so that units do not matter. The
    fit starts from several shares of normal images, and the likeliest is kept, so that the result does not depend on
    chance.

    Two distributions are accepted only if their Bayesian information criterion is lower than that of one by
    ``evidence``; "strong" evidence begins at 6 on the scale of Kass and Raftery (1995). The highest values of normal
    patches are skewed to the right, and somewhat so as logarithms: with 0 or 2, two distributions describe a batch of
    normal images alone better than one in up to a third of such batches, with 6 in about one of ten. Where one
    describes them, nothing is called defective, and a remark says that the images are of one kind: normal or defective,
    which cannot be known. So the rule rather calls images normal where the two kinds overlap.
    """

    summary: ClassVar[str] = "Between two Gaussian distributions of the peaks, if two describe them better than one."
    reference: ClassVar[str] = (
        "Gaussian mixture by EM with Schwarz's criterion (Annals of Statistics 1978); scale of evidence: Kass and "
        "Raftery, JASA 1995."
    )
    needs_batch: ClassVar[bool] = True

    evidence: float = Field(
        6.0, ge=0, description="By how much the Bayesian information criterion of two distributions must be lower."
    )

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images."""
        rising = informative_peaks(evidence)
        if len(rising) < FEWEST or rising[0] == rising[-1]:
            remark = (
                f"Fewer than {FEWEST} images differ, too few to distinguish two kinds from one; none is called "
                "defective."
            )
            return call_none(evidence, remarks=[remark])
        ordinary = ordinary_value(evidence) if evidence.localises else None
        values = rising if ordinary is None else log_heights(rising, ordinary)
        cut = self._between_two((values - values.mean()) / values.std())
        if cut is None:
            remark = "The highest values of the images are of one kind, so none is called defective."
            return call_none(evidence, remarks=[remark])
        value = cut * values.std() + values.mean()
        region = float(value if ordinary is None else ordinary + np.exp(value))
        return Verdicts(evidence, region, self.reach(evidence.maps, region))

    def _between_two(self, values: np.ndarray) -> float | None:
        """The value at which two components are equally likely, from rising values; None if one describes them."""
        from sklearn.mixture import GaussianMixture  # slow to import, and only some rules need it

        column = values[:, None]
        one = GaussianMixture(1, reg_covar=FLOOR).fit(column)
        two = max((self._fitted(column, share) for share in STARTS), key=lambda fitted: float(fitted.lower_bound_))
        if two.bic(column) + self.evidence > one.bic(column):
            return None
        return _as_likely(two)

    def _fitted(self, column: np.ndarray, share: float) -> GaussianMixture:
        """Fit two components, starting from the values below and above a share of them."""
        from sklearn.mixture import GaussianMixture

        split = min(max(round(share * len(column)), 1), len(column) - 1)
        halves = (column[:split], column[split:])
        return GaussianMixture(
            2,
            reg_covar=FLOOR,
            weights_init=[len(half) / len(column) for half in halves],
            means_init=[half.mean(axis=0) for half in halves],
            precisions_init=[[[1 / (half.var() + FLOOR)]] for half in halves],
            max_iter=500,
        ).fit(column)


def _as_likely(two: GaussianMixture) -> float | None:
    """The value between the means where the posterior of the upper component is 1/2, by bisection; None if none."""
    upper = int(np.argmax(two.means_[:, 0]))
    low, high = np.sort(two.means_[:, 0])

    def posterior(value: float) -> float:
        return float(two.predict_proba([[value]])[0, upper])

    if posterior(low) >= 0.5 or posterior(high) <= 0.5:
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if posterior(middle) < 0.5 else (low, middle)
    return float(high)
