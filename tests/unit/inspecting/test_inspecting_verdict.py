"""What is decided of a photograph: by a number, by the references, or by its own patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from zsad.cli import main
from zsad.deciding.a_contrario import AContrario
from zsad.deciding.base import Evidence
from zsad.deciding.registry import THRESHOLDS
from zsad.deciding.robust_tail import RobustTail
from zsad.errors import ConfigError, DataError
from zsad.exporting.marks import marked
from zsad.inspecting.verdict import GIVEN, OWN_PATCHES, REFERENCES, Verdict, decide_by

MAP = np.linspace(0, 1, 30, dtype=np.float32).reshape(5, 6) ** 4


@dataclass
class Fitted:
    """A model with the scores of its references, or with none."""

    reference_scores: np.ndarray = field(default_factory=lambda: np.empty(0))
    reference_maps: Sequence[np.ndarray] = ()


def knowing(*scores: float, localises: bool = True) -> Fitted:
    maps = [score * np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3) for score in scores] if localises else []
    return Fitted(np.array(scores), maps)


KNOWING, IGNORANT = knowing(*np.linspace(1, 3, 19)), Fitted()


@pytest.mark.parametrize("given", [0.25, "0.25", "2.5e-1", -1, "0"])
def test_a_number_is_compared_with_the_peak(given: float | str) -> None:
    for fitted in (KNOWING, IGNORANT):
        found = decide_by(given, fitted, localises=True)(MAP, 0.1)  # whatever the score
        assert (found.decision.region_threshold, found.decision.peak, found.source) == (float(given), 1.0, GIVEN)
        assert found.decision.defective is True
        assert found.decision.pixel_threshold <= float(given)
    assert decide_by(1, IGNORANT, localises=True)(MAP, 9.0).decision.defective is False


def test_of_a_method_without_maps_the_score_is_the_peak_and_no_pixel_is_marked() -> None:
    found = decide_by(0.25, knowing(1, 2, localises=False), localises=False)(None, 0.5).decision
    assert found[:4] == (True, 0.5, 0.25, np.inf)


def test_the_references_decide_where_nothing_is_given() -> None:
    decide = decide_by("conformal", KNOWING, localises=True)
    found = decide(3 * MAP, 0.5)
    assert (found.source, found.remarks, found.decision.p_value) == (REFERENCES, (), 2 / 20)
    assert found.decision.defective
    assert found.decision.region_threshold == np.float32(np.linspace(1, 3, 19)[-2])
    assert np.isnan(found.decision.false_alarms)
    assert decide(2 * MAP, 9.0).decision.defective is False
    for name in (None, "suitable"):
        found = decide_by(name, KNOWING, localises=True)(3 * MAP, 0.5)
        expected = decide_by("reference_tail", KNOWING, localises=True)(3 * MAP, 0.5)
        assert (found.source, found.decision) == (REFERENCES, expected.decision)
        assert 0 < found.decision.p_value < 1


def test_few_references_are_told_of() -> None:
    (remark,) = decide_by("conformal", knowing(1, 2, 3), localises=True)(MAP, 0.5).remarks
    assert remark.startswith("3 references allow a false-alarm rate of 25 % at the least")
    (remark,) = decide_by(None, knowing(1, 2, 3), localises=True)(MAP, 0.5).remarks
    assert remark.startswith("3 references are too few for p-values that hold in finite samples at 5 %, which 19 allow")


@pytest.mark.parametrize("fitted", [IGNORANT, knowing(1)])
def test_without_scores_of_two_references_a_photograph_is_held_to_its_own_patches(fitted: Fitted) -> None:
    found = decide_by(None, fitted, localises=True)(MAP, 0.5)
    expected = AContrario(false_alarms=-np.log1p(-0.1)).decide(Evidence([MAP], np.array([0.5])))
    assert found.source == OWN_PATCHES
    assert found.decision.thresholds == expected.thresholds(0)
    assert found.decision.false_alarms == expected.significance[0]
    assert np.isnan(found.decision.p_value)


def test_rules_that_look_at_patches_judge_one_photograph_by_its_own() -> None:
    for fitted in (KNOWING, IGNORANT):
        found = decide_by("robust_tail", fitted, localises=True)(MAP, 0.5)
        assert found.source == OWN_PATCHES
        assert found.decision.thresholds == RobustTail().decide(Evidence([MAP], np.array([0.5]))).thresholds(0)
        assert decide_by("mebin", fitted, localises=True)(MAP, 0.5).source == OWN_PATCHES


def test_without_maps_either_nothing_is_decided() -> None:
    found = decide_by(None, IGNORANT, localises=False)(None, 0.5)
    assert (found.decision.defective, found.decision.peak, found.source) == (None, 0.5, "")
    assert np.isnan(found.decision[2:]).all()
    assert found.remarks == ("No threshold: the model has no scores of its own references; give one.",)


def sources(localises: bool) -> dict[str, str]:
    """What each rule goes by that says something of one photograph; others are told apart by their sentence."""
    found = {}
    for name in THRESHOLDS.names():
        try:
            found[name] = decide_by(
                name, KNOWING if localises else knowing(1, 2, localises=False), localises=localises
            )(MAP if localises else None, 0.5).source
        except ConfigError as error:
            found[name] = str(error)
    return found


@pytest.mark.parametrize("localises", [True, False])
def test_every_rule_says_something_of_one_photograph_or_why_not(localises: bool) -> None:
    for name, found in sources(localises).items():
        rule = THRESHOLDS.load(name)
        assert "\n" not in found
        if name == "fixed":
            assert "give a value" in found or "give a number" in found
        elif rule.needs_batch:
            assert f"'{name}' compares photographs with each other, but a model decides on each by itself" in found
        elif rule.needs_references or name == "suitable":
            assert found == REFERENCES
        elif localises:
            assert found == OWN_PATCHES
        else:
            assert "scores only whole images; give a number" in found


@pytest.mark.parametrize(
    ("given", "localises", "said"),
    [
        (
            "reference_quantil",
            True,
            "there is no threshold rule 'reference_quantil'; did you mean 'reference_quantile'",
        ),
        ("reference_quantile", True, "needs scores of references, but the model has no scores of its own"),
        ("conformal", False, "needs scores of references, but the model has no scores of its own"),
        ("robust_tail", False, "scores only whole images; give a number"),
        ("suitable", False, "scores only whole images; give a number"),
        ("peaks_over_threshold", True, "compares photographs with each other"),
        ("fixed", True, "threshold rule 'fixed'.*give a value"),
        ("nan", True, "the threshold is nan; give a finite number"),
        (float("inf"), True, "the threshold is inf; give a finite number"),
        ("", True, "there is no threshold rule ''"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_one_sentence(given: float | str, localises: bool, said: str) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        decide_by(given, IGNORANT, localises=localises)


def random_map(rng: np.random.Generator) -> np.ndarray:
    """Smooth, rough, flat, tied or negative; of one patch or many."""
    shape = tuple(rng.integers(1, 12, 2))
    values = rng.normal(size=shape) ** rng.integers(1, 4) * 10.0 ** rng.integers(-3, 4)
    if rng.random() < 0.3:
        values = values.round(1)
    if rng.random() < 0.1:
        values[:] = values.flat[0]
    return np.ascontiguousarray(values, dtype=np.float32)


def decided_somehow(rng: np.random.Generator, anomaly_map: np.ndarray, fitted: Fitted) -> Verdict:
    spread = [*anomaly_map.ravel()[:3], anomaly_map.max(), np.nextafter(anomaly_map.max(), np.float32(-np.inf)), 1e39]
    numbers = [float(value) for value in spread]
    given: float | str | None = [None, "robust_tail", "mebin", "a_contrario", *numbers][rng.integers(4 + len(numbers))]
    return decide_by(given, fitted, localises=True)(anomaly_map, float(rng.normal()))


def test_a_photograph_is_called_defective_if_and_only_if_something_is_marked_in_it() -> None:
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(600):
        anomaly_map = random_map(rng)
        references = [random_map(rng) for _ in range(rng.integers(0, 5))]
        fitted = Fitted(np.array([float(each.max()) for each in references]), references)
        decision = decided_somehow(rng, anomaly_map, fitted).decision
        height, width = rng.integers(1, 40, 2).tolist()
        found = marked(anomaly_map, decision.thresholds, height, width)
        assert found.mask.any() == decision.defective == (decision.peak > decision.region_threshold)
        assert decision.pixel_threshold <= decision.region_threshold
        assert decision.peak == anomaly_map.max()
        if decision.defective:
            assert found.anomaly_map.max() == found.anomaly_map[found.mask].max() == decision.peak
        called += bool(decision.defective)
    assert 100 < called < 500


def test_the_listing_says_which_rules_one_photograph_can_be_asked_by(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    listed = capsys.readouterr().out.partition("\nThresholds\n")[2].partition("\nRefiners\n")[0]
    parts = {part.split(":", 1)[0].strip(): part for part in listed.split("\n\n") if part.strip()}
    assert list(parts) == THRESHOLDS.names()
    for name, part in parts.items():
        assert part.count("uses:") == 1
        assert ("not for `zsad inspect --model`" in part) == THRESHOLDS.load(name).needs_batch
