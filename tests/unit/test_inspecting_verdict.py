"""From which score on a photograph is called defective: given, by the references, or by its own patches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from zsad.deciding.base import Evidence, ThresholdRule, Thresholds
from zsad.deciding.robust_tail import RobustTail
from zsad.errors import ConfigError, DataError
from zsad.inspecting.limits import GIVEN, OWN_PATCHES, REFERENCES, limits_by

MAP = np.linspace(0, 1, 30, dtype=np.float32).reshape(5, 6) ** 4


class Fitted(NamedTuple):
    """A model with the scores of its references, or with none."""

    reference_scores: tuple[float, ...] = ()

    def thresholds(self, rule: ThresholdRule) -> Thresholds | None:
        if not self.reference_scores:
            return None
        maps = [np.full((2, 2), score, np.float32) for score in self.reference_scores]
        return rule.thresholds(Evidence([], np.empty(0), maps, np.array(self.reference_scores)))


KNOWING, IGNORANT = Fitted((1.0, 3.0)), Fitted()


@pytest.mark.parametrize("given", [0.25, "0.25", "2.5e-1", -1, "0"])
def test_a_number_is_taken_for_images_and_pixels(given: float | str) -> None:
    for fitted in (KNOWING, IGNORANT):
        limits = limits_by(given, fitted, localises=True)(MAP, 0.5)
        assert limits == (Thresholds(float(given), float(given)), GIVEN, "")


def test_a_method_without_maps_marks_no_pixels() -> None:
    assert limits_by(0.25, KNOWING, localises=False)(None, 0.5).thresholds == Thresholds(np.inf, 0.25)


def test_the_references_decide_where_nothing_is_given() -> None:
    limits = limits_by(None, KNOWING, localises=True)(MAP, 0.5)
    assert limits.thresholds.image == pytest.approx(1 + 0.995 * 2)
    assert (limits.source, limits.note) == (REFERENCES, "")


def test_without_scores_of_references_a_photograph_is_held_to_its_own_patches() -> None:
    limits = limits_by(None, IGNORANT, localises=True)(MAP, 0.5)
    assert limits == (RobustTail().thresholds(Evidence([MAP], np.array([0.5]))), OWN_PATCHES, "")
    assert limits_by("robust_tail", KNOWING, localises=True)(MAP, 0.5) == limits


def test_without_maps_either_nothing_is_decided() -> None:
    limits = limits_by(None, IGNORANT, localises=False)(None, 0.5)
    assert np.isnan(limits.thresholds).all()
    assert limits.source == ""
    assert "no threshold" in limits.note


@pytest.mark.parametrize(
    ("given", "localises", "said"),
    [
        (
            "reference_quantil",
            True,
            "there is no threshold rule 'reference_quantil'; did you mean 'reference_quantile'",
        ),
        ("reference_quantile", True, "needs scores of references, but the model has no scores of its own"),
        ("robust_tail", False, "scores images as wholes; give a number"),
        ("fixed", True, "threshold rule 'fixed'.*give a value"),
        ("nan", True, "the threshold is nan; give a finite number"),
        (float("inf"), True, "the threshold is inf; give a finite number"),
        ("", True, "there is no threshold rule ''"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_one_sentence(given: float | str, localises: bool, said: str) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        limits_by(given, IGNORANT, localises=localises)
