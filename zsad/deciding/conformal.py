"""Conformal: the number of normal references that are at least as anomalous."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from zsad.deciding.base import Evidence, ReferenceRule, Verdicts, above_all, percentage


class Conformal(ReferenceRule):
    """Conformal p-values of the images' peaks against those of the references.

    The rank of an image is 1 + the number of references whose peak is at least as high as its own, and its p-value is
    rank / (K + 1) with K references. A normal image is as likely to have any of the K + 1 ranks, so that it has a
    p-value of at most ``alpha`` with a probability of at most ``alpha``, for any distribution of the scores and any
    number of references; ties make p-values greater. That is an average over random samples of references. Given some K
    references, the rate has the distribution Beta(m, K + 1 - m), where ``m`` is the highest rank that is called: with 8
    of them, and 11 % on average, it lies between 0.6 % and 31 % nine times of ten (Vovk 2012).

    The threshold for regions is the peak of a reference, the ``m``-th highest. An image is called defective if one of
    its regions exceeds it, and its highest region has the image's p-value: the rate is that of normal images with *any*
    marked region, and needs no correction for their number. Below ``1 / (K + 1)`` there is no p-value; see ``too_few``.

    With ``over_batch: benjamini_hochberg`` the highest rank depends on the images: it is the greatest one whose p-value
    is at most ``alpha`` times the share of images of that rank or lower. Of the images that are called defective at
    most the share ``alpha`` is then normal, on average over batches; conformal p-values against the same references
    depend on each other in a way that leaves this true (Bates et al.).

    What holds exactly, and what approximately. A reference is scored by a fit that lacks it, an image by the fit to
    all. That is cheaper than cross-conformal prediction (Vovk 2015) and the jackknife+ (Barber et al. 2021), which
    score the image by each of those fits as well, and for which a rate of at most twice ``alpha`` is proven without
    assumptions (in folds slightly more). The bound holds here too where more references only lower a score, as they
    lower a distance to the nearest one: the p-value is then no smaller than theirs. For other methods it is not proven.
    In practice the rate is about ``alpha`` or less, since a fit to fewer references scores higher. None of it holds if
    the test images differ from the references in more than defects, e.g. in light or camera, or if references are
    copies of each other.
    """

    summary: ClassVar[str] = "A p-value from the references, each scored without itself."
    reference: ClassVar[str] = (
        "Conformal p-values: Vovk et al. 2005; for outliers, and over a batch: Bates et al., Annals of Statistics "
        "2023; scores by fits to others: Vovk 2015 and Barber et al., Annals of Statistics 2021."
    )

    alpha: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of normal images that may be called defective; with `over_batch` share of the images called "
        "defective that may be normal.",
    )
    too_few: Literal["smallest", "none"] = Field(
        "smallest",
        description="If K references are too few for alpha, as 1 / (K + 1) exceeds it: smallest takes 1 / (K + 1) as "
        "the rate, none calls no image defective. Not for `over_batch`, which then calls none.",
    )
    over_batch: Literal["none", "benjamini_hochberg"] = Field(
        "none",
        description="none decides each image by its own p-value; benjamini_hochberg bounds the share of normal images "
        "among those called defective.",
    )

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images: an order statistic of the references' peaks."""
        ordered = self.ordered_references(evidence)
        ranks = ranks_among(evidence.peaks, ordered)
        if self.over_batch == "benjamini_hochberg":
            called, nominal, remarks = self._over_batch(ranks, len(ordered))
        else:
            called, nominal, remarks = self._each(len(ordered))
        if ordered[0] == ordered[-1]:
            remarks.append(
                f"All {len(ordered)} references score the same, as copies of one photograph do; p-values need different"
                " photographs."
            )
        region = float(ordered[-called]) if called else above_all([ordered, *filter(len, [evidence.peaks])])
        return Verdicts(
            evidence,
            region,
            self.reach(evidence.reference_maps, region),
            significance=ranks / (len(ordered) + 1),
            measure="p_value",
            nominal=nominal,
            remarks=remarks,
        )

    def _each(self, references: int) -> tuple[int, float, list[str]]:
        """The highest rank that is called defective, 0 for none, its rate, and the remarks."""
        p_values = np.arange(1, references + 1) / (references + 1)
        called = int(np.count_nonzero(p_values <= self.alpha))
        if called:
            return called, called / (references + 1), []
        called = 1 if self.too_few == "smallest" else 0
        remark = (
            f"{references} references allow a false-alarm rate of {percentage(1 / (references + 1))} at the least"
            f"{'' if called else ', so that no image is called defective'}; give {fewest_references(self.alpha)} or "
            f"more for {percentage(self.alpha)}."
        )
        return called, called / (references + 1), [remark]

    def _over_batch(self, ranks: np.ndarray, references: int) -> tuple[int, float, list[str]]:
        """Likewise by the rule of Benjamini and Hochberg, which has no rate of false alarms among normal images."""
        count = len(ranks)
        ordered, numbers = np.sort(ranks), np.arange(1, count + 1)
        # One division of whole numbers, as a p-value is: a value equal to alpha is not lost by rounding.
        is_passed = ordered * count / (numbers * (references + 1)) <= self.alpha
        called = int(ordered[is_passed].max(initial=0))
        remarks = [
            f"On average at most {percentage(self.alpha)} of the images that are called defective are normal ones."
        ]
        fewest_at_once = int(np.count_nonzero(count / (numbers * (references + 1)) > self.alpha)) + 1
        if fewest_at_once > 1:
            remarks.append(self._at_once(fewest_at_once, count, references))
        return called, float("nan"), remarks

    def _at_once(self, fewest: int, images: int, references: int) -> str:
        """How many images must be called defective together, since so few references allow no lower p-value."""
        single = f"{fewest_references(self.alpha, images)} or more to call a single one"
        if fewest > images:
            any_number = f"{fewest_references(self.alpha)} or more to call any, " if images > 1 else ""
            return f"{references} references allow no image to be called defective; give {any_number}{single}."
        return (
            f"{references} references allow either none or at least {fewest} of {images} images to be called "
            f"defective; give {single}."
        )


def ranks_among(values: np.ndarray, ordered_references: np.ndarray) -> np.ndarray:
    """1 + the number of references that are at least as high as each value: images' peaks, or peaks of regions.

    Divided by the number of references + 1, it is the p-value. A region stands out exactly if its rank is one that is
    called.

    Args:
        ordered_references: from the lowest to the highest.

    Returns:
        int ``[value]``, from 1 to the number of references + 1.
    """
    return 1 + len(ordered_references) - np.searchsorted(ordered_references, values, side="left")


def fewest_references(alpha: float, images: int = 1) -> int:
    """The fewest references with which an image can be called defective: ``images / (K + 1)`` is at most ``alpha``.

    Args:
        images: in the batch that is corrected for; 1 without a correction.
    """
    about = int(images / Fraction(alpha))  # not exact: the comparison of p-values rounds
    return next(count for count in itertools.count(max(about - 2, 1)) if images / (count + 1) <= alpha)
