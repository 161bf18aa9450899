"""What the page says of trainings: which methods have learned from the parts under test themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from zsad.reporting.evaluations import display_names, key_of
from zsad.reporting.sections.training import trained_methods, trained_on_references

TRAININGS: dict[str, Any] = {
    "flow": {"seed": 0, "steps": 9},
    "learned_elsewhere": {"seed": 0, "trained_on": "visa"},
    "both": {"members": {"flow": {"seed": 0}, "learned_elsewhere": {"seed": 0, "trained_on": "visa"}}},
    "elsewhere_and_bank": {"members": {"learned_elsewhere": {"trained_on": "visa"}}},
    "bank": {},
}


def contents_of(results: list[dict[str, Any]], **methods: Any) -> Any:
    names = display_names(map(key_of, results))
    return SimpleNamespace(results=results, names=names, configuration={"methods": methods})


def test_images_that_were_made_to_learn_from_are_named_and_so_is_their_subset() -> None:
    results = [
        {"setting": "few-shot-2", "method": method, "backbone": "embedded", "category": "ring", "training": {"seed": 1}}
        for method in ("made", "elsewhere", "flow")
    ]
    params = {"shots": 2, "seed": 1, "synthetic_images": 5, "recipes": ["perlin"], "learns_from": "synthetic"}
    methods = {"made": {"params": params}, "elsewhere": {"params": {**params, "learns_from": "auxiliary"}}}
    told = trained_methods(contents_of(results, **methods, flow={"params": {"shots": 2}}))
    assert {name: each["made"] for name, each in told.items()} == {
        "made": "synthetic-k2-seed1-n5-p",
        "elsewhere": "",
        "flow": "",
    }


def test_methods_are_trained_on_the_parts_that_learn_from_their_references_themselves_or_by_a_member() -> None:
    results = [
        {"setting": "few-shot-4", "method": method, "backbone": "embedded", "category": category, "training": training}
        for category in ("ring", "nut")
        for method, training in TRAININGS.items()
    ]
    contents = contents_of(results)
    assert trained_on_references(contents) == ["flow", "both"]
