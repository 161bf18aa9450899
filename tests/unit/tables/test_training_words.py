"""What is told of trainings, and the column of metrics.csv that tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation_files import Run, score_document
from zsad.files.learned import Learned, weights_sha256
from zsad.files.training_facts import single_trainings, training_notes, training_of, trainings_together
from zsad.tables.training_words import training_in_words

WEIGHTS = {"a": np.arange(3, dtype=np.float32)}
ONE = {"seed": 0, "steps": 1000, "parameters": 20, "trained_on": "visa", "weights_sha256": "3f9a1c0b2d4e" + 52 * "0"}


def test_what_is_told_of_weights_is_what_their_facts_say_and_their_digest() -> None:
    facts = {
        "method": "way",
        "seed": 0,
        "steps": 7,
        "parameters": 3,
        "trained_on": "visa",
        "notes": [],
        "grids": [[2, 2]],
    }
    told = {"seed": 0, "steps": 7, "parameters": 3, "trained_on": "visa", "weights_sha256": weights_sha256(WEIGHTS)}
    assert training_of(Learned(WEIGHTS, facts)) == told
    assert training_of(Learned(WEIGHTS, {**facts, "notes": ["no masks"]}))["notes"] == ["no masks"]
    assert training_of(Learned(WEIGHTS, {"seed": None})) == {"weights_sha256": weights_sha256(WEIGHTS)}


@pytest.mark.parametrize(
    ("trainings", "words"),
    [
        ([], ""),
        ([{}], ""),
        ([ONE], "seed 0, 1000 steps, on visa, weights 3f9a1c0b2d4e"),
        ([ONE, ONE], "seed 0, 1000 steps, on visa, weights 3f9a1c0b2d4e"),
        ([ONE | {"seed": 2, "weights_sha256": "b"}, ONE], "seeds 0, 2, 1000 steps, on visa"),
        ([ONE | {"seed": 10}, ONE | {"seed": 9}, ONE], "seeds 0, 9, 10, 1000 steps, on visa, weights 3f9a1c0b2d4e"),
        ([{"steps": 640}, {"steps": 1000}, {"steps": 800}], "640 to 1000 steps"),
        ([{"steps": 1}], "1 step"),
        ([{"steps": 0, "seed": 3}], "seed 3, 0 steps"),
        ([{"trained_on": "visa"}, {"trained_on": "btad"}], ""),
        ([{"trained_on": "visa"}, {"seed": 1}], "seed 1"),
    ],
)
def test_trainings_are_told_by_what_they_have_in_common(trainings: list[dict[str, Any]], words: str) -> None:
    assert training_in_words(trainings) == words


def test_a_fusion_tells_of_its_members_that_were_trained() -> None:
    inner = trainings_together({"a": ONE, "b": {}})
    assert inner == {"members": {"a": ONE}}
    assert trainings_together({"b": {}}) == {}
    outer = trainings_together({"fused": inner, "c": {"steps": 5}})
    assert [member for member, _ in single_trainings(outer)] == ["a", "c"]
    assert training_in_words([outer]) == "a: seed 0, 1000 steps, on visa, weights 3f9a1c0b2d4e; c: 5 steps"


def test_notes_are_told_once() -> None:
    trainings = {"a": {"notes": ["no masks", "few images"]}, "b": {"notes": ["no masks"]}, "c": ONE}
    assert training_notes(trainings_together(trainings)) == ["no masks", "few images"]
    assert training_notes({}) == []


def test_the_table_tells_of_trainings_in_its_last_column(tmp_path: Path) -> None:
    trained = [
        score_document(category, f"flow-seed{seed}", 0.9, group="flow") | {"training": {"seed": seed, "steps": steps}}
        for category, steps in (("ring", 800), ("nut", 1000))
        for seed in (0, 1)
    ]
    plain = [score_document(category, "mutual", 0.8) for category in ("ring", "nut")]
    tables = Run(tmp_path).collect([*trained, *plain])
    rows = tables.rows()
    assert list(rows[0])[-1] == "training"
    told = {(row["category"], row["method"]): row["training"] for row in rows}
    assert told == {
        ("ring", "flow-seed0"): "seed 0, 800 steps",
        ("ring", "flow-seed1"): "seed 1, 800 steps",
        ("ring", "flow"): "seeds 0, 1, 800 steps",
        ("nut", "flow-seed0"): "seed 0, 1000 steps",
        ("nut", "flow-seed1"): "seed 1, 1000 steps",
        ("nut", "flow"): "seeds 0, 1, 1000 steps",
        ("mean", "flow-seed0"): "seed 0, 800 to 1000 steps",
        ("mean", "flow-seed1"): "seed 1, 800 to 1000 steps",
        ("mean", "flow"): "seeds 0, 1, 800 to 1000 steps",
        ("ring", "mutual"): "",
        ("nut", "mutual"): "",
        ("mean", "mutual"): "",
    }
