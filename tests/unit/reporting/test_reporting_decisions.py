"""What images are decided by, in words, and what an evaluation says of the batch."""

from __future__ import annotations

import math
from typing import Any

import pytest

from zsad.deciding.batch_verdict import batch_verdict
from zsad.reporting.decisions import (
    common_value,
    explain_decision,
    explain_decisions,
    region_thresholds,
    rule_in_words,
    significances,
    threshold_in_words,
    verdict_of,
)

NAN = math.nan


@pytest.mark.parametrize(
    ("numbers", "localises", "words"),
    [
        ((0.83, 0.5, NAN, ""), True, "peak 0.83 above the threshold 0.5"),
        ((0.83, 0.5, 0.0213, "p_value"), True, "peak 0.83 above the threshold 0.5, p-value 0.021"),
        ((0.4, 0.5, 1e-9, "p_value"), False, "score 0.4 not above the threshold 0.5, p-value below 0.001"),
        (
            (2, 1, 0.3, "false_alarms"),
            True,
            "peak 2 above the threshold 1, 0.3 false alarms expected in a normal image",
        ),
        ((2, math.inf, NAN, "p_value"), True, "peak 2; nothing exceeds the threshold"),
        ((0.83000004, 0.83, NAN, ""), True, "peak 0.83000004 above the threshold 0.83"),
        ((-1.00001, -1, NAN, ""), True, "peak -1.00001 not above the threshold -1"),
        ((0.25, 0.25, NAN, ""), True, "peak 0.25 not above the threshold 0.25"),
        ((123456.5, 123456.25, NAN, ""), True, "peak 123456.5 above the threshold 123456.25"),
    ],
)
def test_why_an_image_is_called_is_said_in_words(
    numbers: tuple[float, float, float, str], localises: bool, words: str
) -> None:
    assert explain_decision(*numbers, localises=localises) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.5, 0.5], "0.5"),
        ([0.5, 0.6], "differs by image"),
        ([math.inf, math.inf], "infinite"),
        ([math.inf, 0.5], "differs by image"),
        ([], "differs by image"),
    ],
)
def test_a_threshold_that_all_have_in_common_is_told(values: list[float], words: str) -> None:
    assert threshold_in_words(common_value(values)) == words


def evaluation(measure: str, references: int | None, **decision: Any) -> dict[str, Any]:
    """As a JSON file holds it: without NaN and infinity."""
    images = [
        {"peak": 0.5, "region_threshold": None, "pixel_threshold": None, "p_value": 0.5, "false_alarms": None},
        {"peak": 0.5, "region_threshold": 0.25, "pixel_threshold": 0.1, "p_value": None, "false_alarms": 2.0},
    ]
    told = {} if references is None else {"decisions": {"references": ["a"] * references}}
    return {"decision": {"measure": measure, **decision}, "localises": True, "images": images, "provenance": told}


def test_what_an_evaluation_lacks_is_nothing_that_a_reader_stumbles_over() -> None:
    result = evaluation("p_value", None)
    assert region_thresholds(result) == [math.inf, 0.25]
    assert significances(result) == pytest.approx([0.5, NAN], nan_ok=True)
    assert significances(evaluation("", None)) == pytest.approx([NAN, NAN], nan_ok=True)
    assert explain_decisions(result) == [
        "peak 0.5; nothing exceeds the threshold, p-value 0.5",
        "peak 0.5 above the threshold 0.25",
    ]


@pytest.mark.parametrize(
    ("measure", "references", "counted"),
    [("p_value", 9, 9), ("p_value", None, 0), ("p_value", 8, 0), ("false_alarms", 9, 0), ("", 9, 0)],
)
def test_the_number_of_references_is_allowed_for_where_p_values_are_ranks_among_them(
    measure: str, references: int | None, counted: int
) -> None:
    found = verdict_of(evaluation(measure, references, called=7, images=40, nominal=0.1))
    assert found == batch_verdict(7, 40, 0.1, references=counted)
    assert found.exceeds == (counted == 0)


@pytest.mark.parametrize(
    ("decided", "asked", "shown"),
    [
        ("mebin", "mebin (levels 64)", "mebin (levels 64)"),
        ("conformal", "suitable (extent 0.7)", "conformal, by suitable (extent 0.7)"),
        ("conformal", "suitable, as mutual", "conformal, by suitable, as mutual"),
        ("fixed", "", "fixed"),
    ],
)
def test_the_rule_that_decided_is_told_where_another_chose_it(decided: str, asked: str, shown: str) -> None:
    assert rule_in_words(decided, asked) == shown


def test_a_rule_without_a_rate_has_the_numbers_alone() -> None:
    found = verdict_of(evaluation("", None, called=7, images=40, nominal=None))
    assert found.words == "7 of 40 photographs are called defective."
    assert math.isnan(found.chance)
