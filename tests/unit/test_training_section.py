"""What the page says of trainings: which methods have learned from the parts under test themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from zsad.reporting.evaluations import display_names, key_of
from zsad.reporting.sections.training import trained_on_parts

TRAININGS: dict[str, Any] = {
    "flow": {"seed": 0, "steps": 9},
    "learned_elsewhere": {"seed": 0, "trained_on": "visa"},
    "both": {"members": {"flow": {"seed": 0}, "learned_elsewhere": {"seed": 0, "trained_on": "visa"}}},
    "elsewhere_and_bank": {"members": {"learned_elsewhere": {"trained_on": "visa"}}},
    "bank": {},
}


def test_methods_are_trained_on_the_parts_that_learn_from_their_references_themselves_or_by_a_member() -> None:
    results = [
        {"setting": "few-shot-4", "method": method, "backbone": "embedded", "category": category, "training": training}
        for category in ("ring", "nut")
        for method, training in TRAININGS.items()
    ]
    contents: Any = SimpleNamespace(results=results, names=display_names(map(key_of, results)))
    assert trained_on_parts(contents) == ["flow", "both"]
