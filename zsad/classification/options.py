"""Options of a classifier's probabilities and prediction sets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from zsad.registry import Options


class ProbabilityOptions(Options):
    """The section ``probabilities`` of a classifier: the softmax of its scores, for people.

    The calibration is fitted to calibration images that set no threshold of prediction sets.
    """

    temperature: float = Field(1.0, gt=0, description="divisor of the scores before the softmax")
    calibrated: Literal["none", "temperature", "platt"] = Field(
        "none",
        description="by half of the calibration images: temperature fits the one above, platt fits a logistic curve "
        "for each kind; none: no calibration",
    )


class ConformalOptions(Options):
    """The section ``conformal`` of a classifier: prediction sets that hold the true kind at a given rate."""

    sets: Literal["split", "cross"] = Field(
        "split",
        description="split sets thresholds by the calibration images; cross by the support, each fold classified "
        "by the rest, without calibration images",
    )
    alpha: float = Field(0.1, gt=0, lt=1, description="share of images whose set may lack their kind")
    thresholds: Literal["kind", "all"] = Field(
        "kind",
        description="kind: a threshold for each kind (Mondrian), so that the rate holds for each; all: one threshold",
    )
    by: Literal["probability", "score"] = Field(
        "score",
        description="basis of a set: probability of a kind among those shown; or its score alone, so that an image "
        "dissimilar to all of them gets an empty set",
    )
    folds: int = Field(5, ge=2, description="number of folds of the support, for cross")
