"""Compare the number of images called defective with that of a normal batch, in sentences for an inspector."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

LEVEL = 0.1  # share of normal batches, at most, that are said to have too many images called defective
_NOUNS = ("photograph", "photographs")


class BatchVerdict(NamedTuple):
    """The number of images called defective, and whether a normal batch would have as many.

    Attributes:
        words: the same as sentences with full stops.
        chance: the share of normal batches in which the rule calls as many or more images defective; NaN if the rule
            gives no nominal rate.
        exceeds: whether ``chance`` is `LEVEL` at most, so that more images are called defective than in a normal batch;
            None if the chance is not known.
    """

    words: str
    chance: float
    exceeds: bool | None


def batch_verdict(
    called: int, images: int, nominal: float, *, references: int = 0, nouns: tuple[str, str] = _NOUNS
) -> BatchVerdict:
    """Compare the number of images called defective with the number that the rule expects among normal images.

    Args:
        called: images called defective, of ``images``.
        nominal: share of normal images that the rule calls defective, 0 to 1; NaN if it gives none.
        references: number of normal images whose ranks set the rate, as with conformal p-values; see
            `chance_of_as_many`.
        nouns: the word for one image and for several.
    """
    counted = f"{_called_of(called, images, nouns)}."
    if not 0 <= nominal <= 1 or not images:
        return BatchVerdict(counted, math.nan, None)
    chance = chance_of_as_many(called, images, nominal, references)
    exceeds = chance <= LEVEL
    rate = f"The rule calls about {in_percent(nominal)} of normal {nouns[1]} defective"
    if images == 1:
        return BatchVerdict(f"{counted} {rate}.", chance, exceeds)
    expected = nominal * images
    about = f"about {expected:.0f} of {images}" if expected >= 0.95 else f"fewer than one of {images}"
    if not called:
        return BatchVerdict(f"{counted} {rate}, {about}.", chance, exceeds)
    compared = (
        f"That is more than in a normal batch: {_rare(chance)} of normal batches have as many."
        if exceeds
        else "That is no more than in a normal batch."
    )
    return BatchVerdict(f"{counted} {rate}, {about}. {compared}", chance, exceeds)


def chance_of_as_many(called: int, images: int, nominal: float, references: int = 0) -> float:
    """The chance that ``called`` or more of ``images`` normal images are called defective.

    Images are independent, so that the number called is binomial at the nominal rate. Where the threshold is a rank
    among exchangeable references, the rate is nominal on average over references only: with these references it is
    beta distributed, and the number called beta-binomial, which is wider (Vovk 2012, "Conditional validity of inductive
    conformal predictors"; Bates et al. 2023, section 2).

    Args:
        references: how many there are; 0 for a rate that holds as it is.

    Returns:
        0 to 1.
    """
    if called <= 0:
        return 1.0
    if called > images or nominal <= 0:
        return 0.0
    if nominal >= 1:
        return 1.0
    counts = np.arange(called, images + 1, dtype=np.float64)
    from scipy.special import betaln, gammaln  # slow to import

    ways = gammaln(images + 1) - gammaln(counts + 1) - gammaln(images - counts + 1)
    if references:
        above = nominal * (references + 1)
        below = references + 1 - above
        logarithms = ways + betaln(counts + above, images - counts + below) - betaln(above, below)
    else:
        logarithms = ways + counts * math.log(nominal) + (images - counts) * math.log1p(-nominal)
    return float(min(np.exp(logarithms).sum(), 1.0))


def in_percent(share: float) -> str:
    """A share in per cent with two significant digits, e.g. ``"10 %"``, ``"0.5 %"``."""
    digits = 1 - math.floor(math.log10(100 * share)) if share > 0 else 0
    number = f"{100 * share:.{max(digits, 0)}f}"
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} %"


def _called_of(called: int, images: int, nouns: tuple[str, str]) -> str:
    one, several = nouns
    if images == 1:
        return f"The {one} is {'called defective' if called else 'not called defective'}"
    count = "None" if not called else "All" if called == images > 1 else str(called)
    of = f"{images} {several}" if count == "All" else f"of {images} {several}"
    return f"{count} {of} {'is' if called == 1 or not called else 'are'} called defective"


def _rare(chance: float) -> str:
    if chance < 0.001:
        return "fewer than 1 in 1000"
    return f"about {in_percent(chance)}"
