"""Probabilities of the kinds from a classifier's scores, calibrated by labelled images if there are any.

A fit to few images must not be overconfident: if every image is classified correctly, the best temperature would be 0
and every probability 1. So the targets of an image are not 1 and 0 but follow from Laplace's rule of succession and the
number of images, as in Platt ("Probabilistic outputs for support vector machines", 1999, section 2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax, softmax

from zsad.classification.base import one_hot
from zsad.classification.conformal import nonconformity
from zsad.classification.options import ConformalOptions, ProbabilityOptions

TEMPERATURES = (1e-4, 1e4)  # the range to search, relative to the mean range of an image's scores
MOST_LOG_ODDS = 1e100  # the square of a standardised value must be finite
NO_SPREAD = 1e-12  # relative to the numbers: a smaller difference counts as equal


@dataclass(frozen=True)
class Calibrated:
    """A function from scores to probabilities.

    Attributes:
        curve: from scores to probabilities, both float64 ``[image, kind]``.
        remarks: why they are not calibrated although they should be; sentences with full stops.
    """

    curve: Callable[[np.ndarray], np.ndarray]
    remarks: list[str] = field(default_factory=list)

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities, float64 ``[image, kind]`` in ``[0, 1]``; the sum over the kinds is 1."""
        return self.curve(scores)


class _FitError(Exception):
    """The images are not sufficient for calibration; the message gives the reason."""


def calibrate(scores: np.ndarray, kinds: np.ndarray, options: ProbabilityOptions, names: Sequence[str]) -> Calibrated:
    """Probabilities calibrated according to the options, by images that set no threshold of prediction sets.

    Args:
        scores: of the labelled images to fit to, float64 ``[image, kind]``; may be empty.
        kinds: int ``[image]``.
        names: of the kinds.

    Returns:
        If the images are not sufficient, the softmax at the configured temperature, with a remark.
    """
    plain = _Softmax(options.temperature)
    fit = FITS[options.calibrated]
    if fit is None:
        return Calibrated(plain)
    try:
        missing = [name for kind, name in enumerate(names) if not (kinds == kind).any()]
        if missing:
            raise _FitError(f"no calibration image of {', '.join(missing)} is left for it")
        return Calibrated(fit(scores, kinds, options, names))
    except _FitError as reason:
        return Calibrated(plain, [f"The probabilities are not calibrated: {reason}."])


def choose_fitting_images(
    kinds: np.ndarray, probabilities: ProbabilityOptions, conformal: ConformalOptions
) -> np.ndarray:
    """The calibration images that the probabilities are fitted to, bool ``[image]``; the others set thresholds.

    No image if nothing is fitted; all if the thresholds of sets come from elsewhere; else every second one of each
    kind.

    Args:
        kinds: int ``[image]``, those of a kind in the order of their ranks.
    """
    if probabilities.calibrated == "none" or conformal.sets == "cross":
        return np.full(len(kinds), probabilities.calibrated != "none")
    is_second = np.zeros(len(kinds), dtype=bool)
    for kind in np.unique(kinds):
        is_second[np.flatnonzero(kinds == kind)[1::2]] = True
    return is_second


@dataclass(frozen=True)
class _Softmax:
    temperature: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            logits = (scores - scores.max(axis=1, keepdims=True)) / self.temperature
        probabilities: np.ndarray = softmax(logits, axis=1)
        return probabilities


@dataclass(frozen=True)
class _Curves:
    """A logistic curve of the log-odds of each kind; the probabilities are the curves, normalised to a sum of 1.

    As the curves differ, the most probable kind may differ from the one with the greatest score.
    """

    options: ProbabilityOptions
    slopes: np.ndarray
    intercepts: np.ndarray

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        probabilities: np.ndarray = softmax(
            log_expit(_log_odds(scores, self.options) * self.slopes + self.intercepts), axis=1
        )
        return probabilities


def _fit_temperature(
    scores: np.ndarray, kinds: np.ndarray, options: ProbabilityOptions, names: Sequence[str]
) -> _Softmax:
    """The temperature of the least log loss (Guo et al., ICML 2017)."""
    spread = float(np.mean(scores.max(axis=1) - scores.min(axis=1)))
    if spread <= NO_SPREAD * float(np.abs(scores).max()):
        raise _FitError("every calibration image is equally similar to all kinds")
    images, count = scores.shape
    truth = (images * one_hot(kinds, count) + 1) / (images + count)
    found = minimize_scalar(
        lambda log: -np.mean(truth * log_softmax(scores / (spread * np.exp(log)), axis=1)),
        bounds=np.log(TEMPERATURES),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return _Softmax(spread * float(np.exp(found.x)))


def _fit_platt(scores: np.ndarray, kinds: np.ndarray, options: ProbabilityOptions, names: Sequence[str]) -> _Curves:
    """One logistic regression a kind, of that kind against the others, on the log-odds (Platt 1999)."""
    log_odds = _log_odds(scores, options)
    fitted = [_curve(log_odds[:, kind], kinds == kind, name) for kind, name in enumerate(names)]
    slopes, intercepts = np.array(fitted).T
    return _Curves(options, slopes, intercepts)


def _curve(values: np.ndarray, is_kind: np.ndarray, name: str) -> tuple[float, float]:
    """Slope and intercept of one logistic curve, a rising one: greater values make a kind more probable."""
    from sklearn.linear_model import LogisticRegression  # slow to import, and rarely needed

    mean, spread = float(values.mean()), float(values.std())
    if spread <= NO_SPREAD * max(1.0, abs(mean)):
        raise _FitError(f"all calibration images are equally similar to {name}")
    standard = ((values - mean) / spread)[:, None]
    members, others = np.count_nonzero(is_kind), np.count_nonzero(~is_kind)
    truth = np.where(is_kind, (members + 1) / (members + 2), 1 / (others + 2))
    answers = np.repeat([True, False], len(values))  # each image counts for both, weighted by its targets
    regression = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-9)
    regression.fit(np.tile(standard, (2, 1)), answers, sample_weight=np.concatenate([truth, 1 - truth]))
    slope, intercept = float(regression.coef_[0, 0]), float(regression.intercept_[0])
    if slope <= 0:
        raise _FitError(f"the calibration images of {name} are not more similar to it than the others")
    return slope / spread, intercept - slope * mean / spread


def _log_odds(scores: np.ndarray, options: ProbabilityOptions) -> np.ndarray:
    """Log-odds of each kind against all others, at the configured temperature; float64 ``[image, kind]``, finite."""
    unlike = nonconformity(scores, ConformalOptions(by="probability"), options)
    log_odds: np.ndarray = np.clip(-unlike, -MOST_LOG_ODDS, MOST_LOG_ODDS)
    return log_odds


FITS = {"none": None, "temperature": _fit_temperature, "platt": _fit_platt}
