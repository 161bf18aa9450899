"""What holds of every threshold rule, whatever it goes by: units, order, constant maps, two images, one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import ndimage

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.conformal import Conformal
from zsad.deciding.expected_share import ExpectedShare
from zsad.deciding.reference_quantile import ReferenceQuantile
from zsad.deciding.reference_tail import ReferenceTail
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import DataError
from zsad.maps import standing_out

PARAMS: dict[str, dict[str, Any]] = {  # of rules that do not do without
    "fixed": {"image": 0.75, "pixel": 0.5},
    "share": {"share": 0.3},
    "expected_share": {"share": 0.3},
}
IN_UNITS = {"fixed"}  # whose parameters are in the unit of the scores
VARIANTS: dict[str, ThresholdRule] = {
    "conformal over a batch": Conformal(alpha=0.4, over_batch="benjamini_hochberg"),
    "conformal of too few": Conformal(alpha=0.01, too_few="none"),
    "reference_quantile with a factor": ReferenceQuantile(factor=1.4),
    "expected_share by Otsu's method": ExpectedShare(share=0.3, cut="otsu"),
}
RULES = {name: THRESHOLDS.build(name, PARAMS.get(name, {})) for name in THRESHOLDS.names()} | VARIANTS
SETTINGS = ("few-shot-19", "zero-shot-batch", "zero-shot-single")
FINE = 4096  # values are multiples of 1 / FINE: a change of unit by a power of two is exact


def good_map(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    noise = ndimage.gaussian_filter(rng.gamma(2.0, 0.15, size=shape), 0.7)
    return np.round(noise * FINE).astype(np.float32) / np.float32(FINE)


class Case(NamedTuple):
    """A rule, and what it is asked by.

    Attributes:
        setting: of the method; a few-shot one has references.
    """

    rule: ThresholdRule
    with_maps: bool
    setting: str

    def evidence(self, maps: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> Evidence:
        """Of these maps, or of their peaks as image scores."""
        references = references if self.setting.startswith("few-shot") else []
        scores, of_references = (np.array([each.max() for each in given]) for given in (maps, references))
        if not self.with_maps:
            return Evidence([], scores, [], of_references, self.setting)
        return Evidence(maps, scores, references, of_references, self.setting)


def category(seed: int, images: int = 14, references: int = 19) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Maps of mixed sizes, of which a third has a defect of 2 x 3 patches, and of references."""
    rng = np.random.default_rng(seed)
    maps = [good_map(rng, (12 + index % 3, 15)) for index in range(images)]
    for index in range(0, images, 3):
        maps[index][4:6, 5:8] += np.float32(0.5 + 0.125 * (index % 4))
    return maps, [good_map(rng, (13, 15)) for _ in range(references)]


def check(evidence: Evidence, verdicts: Verdicts) -> None:
    """Thresholds are one consistent pair, and what is marked agrees with what is called defective."""
    count = len(evidence)
    assert [len(values) for values in (verdicts.region, verdicts.pixel, verdicts.decided)] == [count] * 3
    assert len(verdicts.significance) == count
    np.testing.assert_array_equal(verdicts.region, verdicts.region.astype(np.float32))
    assert not np.isnan(verdicts.region).any()
    np.testing.assert_array_equal(verdicts.decided, evidence.peaks > verdicts.region)
    given = verdicts.significance[~np.isnan(verdicts.significance)]
    assert (given >= 0).all()
    assert verdicts.measure or not given.size
    assert verdicts.measure != "p_value" or (given <= 1).all()
    assert np.isnan(verdicts.nominal) or 0 <= verdicts.nominal <= 1
    assert all(remark.endswith(".") for remark in verdicts.remarks)
    if not evidence.localises:
        assert np.isposinf(verdicts.pixel).all()
        return
    assert (verdicts.pixel <= verdicts.region).all()
    for index, anomaly_map in enumerate(evidence.maps):
        thresholds = verdicts.thresholds(index)
        marked = standing_out(anomaly_map, thresholds, 50, 60) > np.float32(thresholds.pixel)
        assert marked.any() == verdicts.decided[index]


def check_decisions(case: Case, maps: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> Verdicts:
    """What the rule says, found sound."""
    evidence = case.evidence(maps, references)
    verdicts = case.rule.decide(evidence)
    check(evidence, verdicts)
    return verdicts


def cases(*, in_units: bool = True) -> list[Any]:
    """Every rule with maps, and without where it can do without, in the settings that it tells apart."""
    return [
        pytest.param(Case(rule, with_maps, setting), id=f"{name}-{'maps' if with_maps else 'images'}-{setting}")
        for name, rule in RULES.items()
        for with_maps in (True, False)
        for setting in (SETTINGS if name == "suitable" else SETTINGS[:1] if rule.needs_references else SETTINGS[1:2])
        if (with_maps or not rule.needs_maps) and (in_units or name not in IN_UNITS)
    ]


of_every_rule = pytest.mark.parametrize("case", cases())


def test_only_rules_that_say_so_need_references() -> None:
    needing = {type(rule) for rule in RULES.values() if rule.needs_references}
    assert needing == {Conformal, ReferenceQuantile, ReferenceTail}
    bare = Case(Conformal(), with_maps=True, setting="zero-shot-batch").evidence(*category(0))
    for rule in RULES.values():
        if rule.needs_references and rule.needs_maps <= bare.localises:
            with pytest.raises(DataError, match="needs the scores of at least 2, and there are 0"):
                rule.decide(bare)


@pytest.mark.parametrize(("factor", "offset"), [(4.0, 0.0), (1.0, 8.0), (0.25, -2.0)])
@pytest.mark.parametrize("case", cases(in_units=False))
def test_a_change_of_unit_changes_thresholds_alike_and_no_verdict(case: Case, factor: float, offset: float) -> None:
    maps, references = category(0)
    changed = case.evidence(*([factor * each + offset for each in given] for given in (maps, references)))
    before, after = case.rule.decide(case.evidence(maps, references)), case.rule.decide(changed)
    check(changed, after)
    np.testing.assert_array_equal(after.decided, before.decided)
    close = {"rtol": 1e-5, "atol": 1e-4 * factor}
    np.testing.assert_allclose(after.region, factor * before.region + offset, **close)
    np.testing.assert_allclose(after.pixel, factor * before.pixel + offset, **close)
    np.testing.assert_allclose(after.significance, before.significance, rtol=1e-3, atol=1e-9)
    assert after.measure == before.measure
    np.testing.assert_equal(after.nominal, before.nominal)


@of_every_rule
def test_the_order_of_the_images_does_not_matter(case: Case) -> None:
    maps, references = category(1)
    order = np.random.default_rng(2).permutation(len(maps))
    before = case.rule.decide(case.evidence(maps, references))
    after = case.rule.decide(case.evidence([maps[index] for index in order], references[::-1]))
    for name in ("decided", "region", "pixel"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name)[order])
    np.testing.assert_allclose(after.significance, before.significance[order], rtol=1e-12)
    assert after.remarks == before.remarks


@of_every_rule
def test_the_same_scores_give_the_same_verdicts(case: Case) -> None:
    first, again = (case.rule.decide(case.evidence(*category(4))) for _ in range(2))
    for name in ("decided", "region", "pixel", "significance"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


@of_every_rule
def test_what_is_marked_agrees_with_what_is_called_defective(case: Case) -> None:
    for seed in range(10, 15):
        check_decisions(case, *category(seed))


@pytest.mark.parametrize("value", [0.0, 0.3, -7.0])
@of_every_rule
def test_of_maps_that_are_constant_and_equal_none_is_called_defective(case: Case, value: float) -> None:
    maps = [np.full((4, columns), value, np.float32) for columns in (5, 3, 4)]
    for count in (1, 2, 3):
        assert not check_decisions(case, maps[:count], maps).decided.any()


@pytest.mark.parametrize("images", [1, 2])
@of_every_rule
def test_one_image_and_two_have_verdicts(case: Case, images: int) -> None:
    for seed in range(20, 23):
        for references in (2, 3):
            check_decisions(case, *category(seed, images, references))


@of_every_rule
def test_two_images_that_are_the_same_have_the_same_verdict(case: Case) -> None:
    maps, references = category(30)
    for one in maps[:2]:  # with a defect, and without
        verdicts = check_decisions(case, [one, one.copy()], references)
        for name in ("decided", "region", "significance"):
            np.testing.assert_array_equal(*getattr(verdicts, name))


@of_every_rule
def test_the_smallest_maps_have_verdicts(case: Case) -> None:
    rng = np.random.default_rng(5)
    for shape in ((1, 1), (1, 2), (3, 1)):
        maps = [rng.random(shape).astype(np.float32) for _ in range(6)]
        check_decisions(case, maps[:3], maps[3:])
