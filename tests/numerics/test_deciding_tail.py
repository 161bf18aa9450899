"""The tail of normal patches, and the two rules that follow it: against SciPy, and against what is drawn from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from zsad.deciding.a_contrario import AContrario
from zsad.deciding.base import Evidence, Verdicts
from zsad.deciding.conformal import Conformal
from zsad.deciding.peaks_over_threshold import PeaksOverThreshold
from zsad.deciding.reference_tail import ReferenceTail
from zsad.deciding.suitable import Suitable
from zsad.deciding.tail import Tail, chosen_ranks, exceeded_at, fit_tail, highest_values

PATCHES, IMAGES, DRAWS, FRESH = 1024, 40, 40, 100
ALPHA = 0.1
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
TAILS: dict[str, Draw] = {
    "exponential": lambda rng, shape: rng.exponential(size=shape),
    "normal": lambda rng, shape: rng.normal(size=shape),
    "student 5": lambda rng, shape: rng.standard_t(5, size=shape),
    "pareto 4": lambda rng, shape: rng.pareto(4, size=shape),
}


def evidence(values: np.ndarray) -> Evidence:
    """Maps of one row."""
    maps = [row[None].astype(np.float32) for row in values]
    return Evidence(maps, values.max(axis=1))


def called(rule: PeaksOverThreshold, draw: Draw, contamination: float, rng: np.random.Generator) -> float:
    """Share of fresh normal images above the threshold that the rule sets on contaminated ones."""
    values = draw(rng, (IMAGES, PATCHES))
    values[: round(contamination * IMAGES), : PATCHES // 10] += 4 * values.std()
    region = rule.decide(evidence(values)).region[0]
    return float((draw(rng, (FRESH, PATCHES)).max(axis=1) > region).mean())


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3])
def test_a_tail_is_scipys(shape: float) -> None:
    tail = Tail(exceeded=0.1, start=2.0, scale=0.5, shape=shape)
    scipys = stats.genpareto(shape, loc=2.0, scale=0.5)
    values = np.linspace(2.0, 4.0, 9)
    assert tail.survival(values) == pytest.approx(0.1 * scipys.sf(values), abs=1e-12)
    assert tail.quantile(0.001) == pytest.approx(scipys.isf(0.01))
    assert tail.survival(np.array([tail.quantile(0.001)]))[0] == pytest.approx(0.001)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2])
def test_the_quantiles_of_a_tail_give_it_back(shape: float) -> None:
    exceeded = np.geomspace(1e-3, 0.1, 12)
    fitted = fit_tail(exceeded, 3 + 2 * stats.genpareto(shape).isf(exceeded / 0.1))
    assert fitted is not None
    assert fitted == pytest.approx(Tail(0.1, 3.0, 2.0, shape), abs=1e-6)


def test_values_that_do_not_rise_have_no_tail() -> None:
    assert fit_tail(np.geomspace(1e-3, 0.1, 12), np.full(12, 0.5)) is None


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("patches", [100, 1024])
def test_levels_of_ranks_are_those_of_order_statistics(share: float, patches: int) -> None:
    ranks = chosen_ranks(patches, 0.1)
    exact = stats.beta.ppf(1 - share, ranks, patches - ranks + 1)
    assert exceeded_at(ranks, patches, share) == pytest.approx(exact, rel=0.05)


def test_ranks_lie_as_deep_in_every_map() -> None:
    """In a map that is four times as large the same share of the patches lies above."""
    small, large = (np.linspace(0, 1, count, dtype=np.float32).reshape(1, -1) for count in (400, 1600))
    ranks = np.array([1, 10, 40])
    values = highest_values([small, small, large], ranks)
    assert values[0] == pytest.approx(np.sort(small.ravel())[-ranks], abs=1e-6)
    assert values[2] == pytest.approx(values[0], abs=3e-3)


@pytest.mark.parametrize("contamination", [0.0, 0.3])
@pytest.mark.parametrize("name", TAILS)
def test_the_false_alarm_rate_is_within_a_factor_of_2_of_nominal(name: str, contamination: float) -> None:
    rng = np.random.default_rng(1)
    rates = [called(PeaksOverThreshold(alpha=ALPHA), TAILS[name], contamination, rng) for _ in range(DRAWS)]
    assert ALPHA / 2 <= np.mean(rates) <= 2 * ALPHA


def test_images_of_different_levels_keep_the_rate_only_if_that_is_allowed_for() -> None:
    """Levels differ by a fifth; the rate without an allowance is several times the nominal one."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        levels = np.maximum(1 + 0.2 * rng.normal(size=(shape[0], 1)), 0.1)
        return levels * rng.gamma(4, size=shape)

    rng = np.random.default_rng(2)
    allowed = np.mean([called(PeaksOverThreshold(alpha=ALPHA), draw, 0.0, rng) for _ in range(DRAWS)])
    ignored = np.mean([called(PeaksOverThreshold(alpha=ALPHA, spread=False), draw, 0.0, rng) for _ in range(DRAWS)])
    assert allowed <= 2 * ALPHA < ignored


def test_defective_images_stand_out_even_where_most_are_defective() -> None:
    rng = np.random.default_rng(3)
    values = rng.exponential(size=(IMAGES, PATCHES))
    values[:28, :30] += 15
    verdicts = PeaksOverThreshold().decide(evidence(values))
    assert verdicts.decided[:28].all()
    assert verdicts.decided[28:].mean() <= 0.25


def test_a_p_value_is_at_most_alpha_exactly_where_an_image_is_called_defective() -> None:
    rng = np.random.default_rng(4)
    values = rng.exponential(size=(IMAGES, PATCHES))
    values[:5, 0] += np.linspace(0, 10, 5)
    verdicts = PeaksOverThreshold(alpha=0.2).decide(evidence(values))
    assert verdicts.measure == "p_value"
    assert ((verdicts.significance <= 0.2) == verdicts.decided).all()
    assert 0 < verdicts.decided.sum() < IMAGES


def verdicts_of(values: np.ndarray, false_alarms: float = 0.1) -> Verdicts:
    return AContrario(false_alarms=false_alarms).decide(evidence(values))


def test_false_alarms_of_one_image_are_as_many_as_expected() -> None:
    """On an exponential background, of which the rule's tail is a member, 0.5 an image are 39 % of the images."""
    rng = np.random.default_rng(5)
    values = rng.exponential(size=(300, PATCHES))
    verdicts = verdicts_of(values, 0.5)
    assert verdicts.nominal == pytest.approx(1 - np.exp(-0.5))
    assert verdicts.nominal / 1.6 <= verdicts.decided.mean() <= 1.6 * verdicts.nominal


def test_each_image_has_its_own_threshold_and_says_the_same_alone() -> None:
    rng = np.random.default_rng(6)
    values = rng.exponential(size=(4, PATCHES)) * np.array([[1], [2], [5], [9]])
    values[3, :5] += 200
    together = verdicts_of(values)
    alone = [verdicts_of(values[index : index + 1]) for index in range(4)]
    assert together.region.tolist() == [each.region[0] for each in alone]
    assert together.significance.tolist() == [each.significance[0] for each in alone]
    assert together.decided.tolist() == [False, False, False, True]
    assert (np.diff(together.region) > 0).all()


def test_the_number_of_false_alarms_is_what_the_threshold_is_set_by() -> None:
    rng = np.random.default_rng(7)
    values = rng.exponential(size=(50, PATCHES))
    values[:10, 3] += np.linspace(0, 20, 10)
    verdicts = verdicts_of(values)
    assert ((verdicts.significance <= 0.1) == verdicts.decided).all()


def test_an_image_without_any_difference_is_good() -> None:
    for rule in (AContrario(), PeaksOverThreshold()):
        verdicts = rule.decide(Evidence([np.full((8, 8), 0.3, np.float32)] * 3, np.full(3, 0.3)))
        assert not verdicts.decided.any()


def setting_of(images: int, references: int = 0, setting: str = "", **params: float) -> tuple[str, float]:
    """What decides by default, and the share of false alarms that it aims at."""
    rng = np.random.default_rng(8)
    maps, others = (list(rng.exponential(size=(count, 8, 8)).astype(np.float32)) for count in (images, references))
    decided = Evidence(maps, np.zeros(images), others, np.zeros(references), setting)
    rule = Suitable(**params)
    return type(rule.chosen(decided)).__name__, round(rule.decide(decided).nominal, 6)


@pytest.mark.parametrize(
    ("images", "references", "setting", "expected"),
    [
        (1, 0, "zero-shot-single", ("AContrario", 0.1)),
        (7, 0, "zero-shot-batch", ("AContrario", 0.05)),
        (8, 0, "zero-shot-single", ("PeaksOverThreshold", 0.1)),
        (8, 0, "zero-shot-batch", ("PeaksOverThreshold", 0.05)),
        (8, 1, "few-shot-1", ("PeaksOverThreshold", 0.1)),
        (1, 2, "few-shot-2", ("ReferenceTail", 0.05)),
        (8, 49, "few-shot-49", ("ReferenceTail", 0.05)),
        (8, 50, "few-shot-50", ("Conformal", round(5 / 51, 6))),
    ],
)
def test_the_rule_that_suits_is_that_of_what_is_there(
    images: int, references: int, setting: str, expected: tuple[str, float]
) -> None:
    assert setting_of(images, references, setting) == expected


@pytest.mark.parametrize("setting", ["zero-shot-single", "zero-shot-batch"])
def test_a_share_that_is_given_is_the_share(setting: str) -> None:
    assert setting_of(3, 0, setting, alpha=0.2) == ("AContrario", 0.2)
    assert setting_of(9, 0, setting, alpha=0.2) == ("PeaksOverThreshold", 0.2)
    assert setting_of(9, 3, setting, alpha=0.2) == ("ReferenceTail", 0.2)


def test_references_of_images_alone_are_ranked_however_few() -> None:
    scores = np.arange(3.0)
    assert isinstance(Suitable().chosen(Evidence([], scores, [], scores)), Conformal)


@pytest.mark.parametrize("references", [8, 30])
@pytest.mark.parametrize("name", TAILS)
def test_few_references_hold_the_rate_on_average_within_a_factor_of_2(name: str, references: int) -> None:
    rng = np.random.default_rng(9)
    rates = []
    for _ in range(DRAWS):
        good = [row[None].astype(np.float32) for row in TAILS[name](rng, (references, PATCHES))]
        shown = Evidence([good[0]], np.zeros(1), good, np.zeros(references))
        region = ReferenceTail(alpha=ALPHA, shape="pareto").decide(shown).region[0]
        rates.append((TAILS[name](rng, (FRESH, PATCHES)).max(axis=1) > region).mean())
    assert ALPHA / 2 <= np.mean(rates) <= 2 * ALPHA


def test_few_references_vary_less_by_their_tail_than_by_their_ranks() -> None:
    """The rate of one draw of eight, by the tail and by the order statistic that stands for the same rate."""
    rng = np.random.default_rng(10)
    by_tail, by_ranks = [], []
    for _ in range(DRAWS):
        good = [row[None].astype(np.float32) for row in rng.exponential(size=(8, PATCHES))]
        shown = Evidence([good[0]], np.zeros(1), good, np.zeros(8))
        fresh = rng.exponential(size=(FRESH, PATCHES)).max(axis=1)
        by_tail.append((fresh > ReferenceTail(alpha=1 / 9).decide(shown).region[0]).mean())
        by_ranks.append((fresh > Conformal(alpha=1 / 9).decide(shown).region[0]).mean())
    assert np.std(by_tail) < 0.7 * np.std(by_ranks)


def test_a_p_value_is_the_same_bit_by_bit_wherever_the_image_stands() -> None:
    values = np.random.default_rng(11).exponential(size=(IMAGES, PATCHES))
    order = np.random.default_rng(12).permutation(IMAGES)
    for rule in (PeaksOverThreshold(), AContrario()):
        as_it_is, otherwise = (rule.decide(evidence(each)).significance for each in (values, values[order]))
        assert as_it_is[order].tolist() == otherwise.tolist()
