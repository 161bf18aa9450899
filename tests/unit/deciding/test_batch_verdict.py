"""What the number of images called defective says of a batch, against scipy's distributions and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from zsad.deciding.base import Evidence
from zsad.deciding.batch_verdict import LEVEL, batch_verdict, chance_of_as_many, in_percent
from zsad.deciding.conformal import Conformal


@pytest.mark.parametrize(
    ("called", "images", "nominal", "words"),
    [
        (
            4,
            40,
            0.1,
            "4 of 40 photographs are called defective. The rule calls about 10 % of normal photographs defective, "
            "about 4 of 40. That is no more than in a normal batch.",
        ),
        (
            12,
            40,
            0.1,
            "12 of 40 photographs are called defective. The rule calls about 10 % of normal photographs defective, "
            "about 4 of 40. That is more than in a normal batch: fewer than 1 in 1000 of normal batches "
            "have as many.",
        ),
        (
            1,
            20,
            0.004,
            "1 of 20 photographs is called defective. The rule calls about 0.4 % of normal photographs defective, "
            "fewer than one of 20. That is more than in a normal batch: about 7.7 % of normal batches "
            "have as many.",
        ),
        (
            0,
            40,
            1 / 9,
            "None of 40 photographs is called defective. The rule calls about 11 % of normal photographs defective, "
            "about 4 of 40.",
        ),
        (
            2,
            9,
            0.1,
            "2 of 9 photographs are called defective. The rule calls about 10 % of normal photographs defective, fewer "
            "than one of 9. That is no more than in a normal batch.",
        ),
        (1, 1, 0.1, "The photograph is called defective. The rule calls about 10 % of normal photographs defective."),
        (0, 1, math.nan, "The photograph is not called defective."),
        (7, 7, math.nan, "All 7 photographs are called defective."),
        (4, 40, math.nan, "4 of 40 photographs are called defective."),
    ],
)
def test_an_inspector_reads_how_many_are_called_and_what_a_good_batch_would_have(called, images, nominal, words):
    assert batch_verdict(called, images, nominal).words == words


@pytest.mark.parametrize(("images", "nominal"), [(1, 0.1), (2, 0.5), (40, 0.1), (400, 0.004), (5000, 0.1)])
def test_the_chance_is_the_tail_of_a_binomial_distribution(images, nominal):
    for called in {0, 1, images // 10, images // 3, images - 1, images}:
        expected = stats.binom.sf(called - 1, images, nominal)
        assert chance_of_as_many(called, images, nominal) == pytest.approx(expected, rel=1e-6, abs=1e-300)


@pytest.mark.parametrize(("images", "references", "allowed"), [(40, 8, 1), (40, 19, 2), (7, 4, 1), (300, 99, 10)])
def test_ranks_among_few_references_widen_it_to_a_beta_binomial(images, references, allowed):
    nominal = allowed / (references + 1)
    for called in (1, images // 8, images // 2, images):
        expected = stats.betabinom.sf(called - 1, images, allowed, references + 1 - allowed)
        found = chance_of_as_many(called, images, nominal, references)
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("references", [8, 19])
def test_good_batches_are_said_to_have_more_called_at_the_level_at_most(references):
    """Of the conformal rule; taken for binomial it would be far more."""
    rng = np.random.default_rng(5)
    alarms = np.zeros(2)
    for _ in range(800):
        good, known = rng.normal(size=(40, 1, 1)), rng.normal(size=(references, 1, 1))
        evidence = Evidence(list(good), good.ravel(), list(known), known.ravel())
        verdicts = Conformal(alpha=0.12).decide(evidence)
        called = int(verdicts.decided.sum())
        for place, count in enumerate((references, 0)):
            alarms[place] += bool(batch_verdict(called, 40, verdicts.nominal, references=count).exceeds)
    few, many = alarms / 800
    assert few < LEVEL + 0.035
    assert many > few + 0.03


@pytest.mark.parametrize(("nominal", "called"), [(0.0, 0), (0.0, 3), (1.0, 3), (1.0, 0), (1e-9, 1), (0.999, 5)])
def test_a_rule_that_calls_nothing_or_everything_has_a_chance_too(nominal, called):
    verdict = batch_verdict(called, 5, nominal)
    assert verdict.chance == pytest.approx(stats.binom.sf(called - 1, 5, nominal), abs=1e-12)
    assert verdict.exceeds == (verdict.chance <= LEVEL)


def test_no_image_and_no_rate_are_no_evidence():
    assert batch_verdict(0, 0, 0.1).exceeds is None
    assert batch_verdict(3, 9, math.nan).exceeds is None
    assert batch_verdict(2, 3, 0.5, nouns=("image", "images")).words.startswith("2 of 3 images are called defective.")


@pytest.mark.parametrize(
    ("share", "words"), [(0.1, "10 %"), (1 / 9, "11 %"), (0.005, "0.5 %"), (0.0123, "1.2 %"), (1, "100 %"), (0, "0 %")]
)
def test_a_rate_has_two_digits_that_count(share, words):
    assert in_percent(share) == words
