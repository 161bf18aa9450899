"""One model of the configuration: what is written from it agrees with it, and it completes what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from zsad.errors import ConfigError
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import SCORERS
from zsad.workflow import settings
from zsad.workflow.schema import Config, default_config, validate_config
from zsad.workflow.settings import DEFAULT_PATH, Settings, load
from zsad.workflow.written_config import SCHEMA_PATH, config_text, schema_text


def test_config_yaml_is_written_from_the_model() -> None:
    assert DEFAULT_PATH.read_text(encoding="utf-8") == config_text(), "run `make config`"


EDITOR = Draft202012Validator(yaml.safe_load(schema_text()))


def test_the_schema_for_editors_is_that_of_the_model() -> None:
    assert SCHEMA_PATH.read_text(encoding="utf-8") == schema_text(), "run `make config`"


@pytest.mark.parametrize("path", [DEFAULT_PATH, *sorted((DEFAULT_PATH.parent / "config").glob("*.yaml"))], ids=str)
def test_an_editor_finds_nothing_wrong_with_our_own_files(path: Path) -> None:
    assert [error.message for error in EDITOR.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"datset": {}},
        {"device": "gpu"},
        {"methods": {"a b": None}},
        {"methods": {"mine": {"scorer": "mutual", "backbone": []}}},
        {"refiners": {"none": {"refiner": "guided"}}},
        {"dataset": {"categories": "ring"}},
        {"dataset": {"demo": {"size": 1}}},
        {"report": {"dip": 3}},
        {"evaluation": {"bootstrap": -1}},
    ],
)
def test_an_editor_marks_what_a_run_would_refuse(wrong: dict[str, Any]) -> None:
    assert list(EDITOR.iter_errors(wrong))
    with pytest.raises(ConfigError):
        validate_config(wrong)


def test_what_is_written_says_what_the_model_has_by_default_in_the_same_order() -> None:
    assert _ordered(yaml.safe_load(config_text())) == _ordered(default_config())


def _ordered(value: Any) -> Any:
    return [(key, _ordered(item)) for key, item in value.items()] if isinstance(value, dict) else [value]


def test_nothing_is_the_default() -> None:
    nothing, default = Settings({}), load()
    assert nothing.config == default.config == default_config()
    assert nothing.resolved() == default.resolved()
    assert {**vars(nothing.scoring)} == {**vars(default.scoring)}


def test_a_section_is_completed_but_named_entries_are_those_that_are_given() -> None:
    own = {"methods": {"mine": {"scorer": "mutual"}}, "refiners": {}}
    some = Settings({**own, "evaluation": {"bootstrap": 50}, "report": {"refiner": "none"}})
    assert list(some.methods) == ["mine"]
    assert some.refiners == {}
    assert (some.evaluation.bootstrap, some.evaluation.memory_mb) == (50, 1000)
    assert some.config["backbones"] == default_config()["backbones"]


def test_a_method_keeps_of_its_own_only_what_it_is_given() -> None:
    own = {"mine": {"scorer": "mutual", "threshold": {"params": {"z": 4}}, "image_score": {"fraction": 0.5}}}
    general = {"threshold": {"rule": "robust_tail", "params": {"z": 7}}, "image_score": {"aggregate": "max"}}
    found = Settings({"methods": own, **general}).methods["mine"]
    assert found.deciding["params"]["z"] == 4
    expected = ImageScoring(aggregate="max", fraction=0.5).parameters()
    assert found.scoring["image_score"] == expected


def test_an_installed_package_needs_no_config_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("methods: {mutual: null}\nevaluation: {bootstrap: 60}\n", encoding="utf-8")
    monkeypatch.setattr(settings, "WORKFLOW_PATH", tmp_path / "Snakefile")
    monkeypatch.setattr(settings, "DEFAULT_PATH", tmp_path / "config.yaml")
    settings._default.cache_clear()
    try:
        installed = load(mine)
    finally:
        settings._default.cache_clear()
    assert "mutual" not in installed.methods
    assert "memory_bank" in installed.methods
    assert installed.evaluation.bootstrap == 60


def test_a_default_cannot_be_changed_by_who_has_been_given_it() -> None:
    default_config()["methods"]["memory_bank"]["params"]["shots"] = 1
    default_config()["dataset"]["params"]["x"] = 1
    assert default_config() == Config().plain()
    assert default_config()["methods"]["memory_bank"]["params"]["shots"] == 8


def test_of_several_mistakes_the_first_in_the_file_is_said() -> None:
    wrong: dict[str, Any] = {"device": "gpu", "datset": {}, "scoring": {"memory_mb": 1, "precison": 2}}
    for first in list(wrong):
        with pytest.raises(ConfigError, match=first):
            validate_config({first: wrong.pop(first), **wrong})
    with pytest.raises(ConfigError, match="memory_mb = 1"):
        validate_config({"scoring": {"memory_mb": 1, "precison": 2}})
    with pytest.raises(ConfigError, match="'precison'"):
        validate_config({"scoring": {"precison": 2, "memory_mb": 1}})


def as_text(value: Any) -> Any:
    """The values as Snakemake's ``--config`` hands on what is nested."""
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"methods": {"mutual": None, "memory_bank": {"scorer": "memory_bank", "seeds": [0, 1]}}},
        {"backbone": ["embedded", "dinov2-small"], "extraction": {"batch": 4, "workers": 0, "compile": True}},
        {"dataset": {"categories": ["ring", "01"], "max_aspect": 2.5, "unreadable": "skip"}},
        {"sharing": {"features": True}, "methods": {"mine": {"scorer": "mutual", "image_score": {"fraction": 0.5}}}},
    ],
)
def test_text_is_read_as_what_its_place_asks_for(changes: dict[str, Any]) -> None:
    configured = validate_config(changes).plain()
    configured["methods"].pop("memory_bank", None)  # its parameters stay text until its scorer reads them
    assert validate_config(as_text(configured)).plain() == configured


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"dataset": None}, "configuration: dataset = null is not valid: it must hold keys and values"),
        (
            {"methods": {"mine": "mutual"}},
            "methods: mine = 'mutual' is not valid: it must hold keys and values or null",
        ),
        ({"methods": {"mine": {"scorer": None}}}, "methods.mine: scorer = null is not valid: it must be text"),
        (
            {"backbone": {"name": "embedded"}},
            "configuration: backbone = {'name': 'embedded'} is not valid: it must be a name or a list of names",
        ),
        (
            {"methods": {"mine": {"scorer": "mutual", "backbone": ["a", None]}}},
            "configuration: item 2 of methods.mine.backbone = null is not valid: it must be text",
        ),
        (
            {"dataset": {"categories": "ring"}},
            "dataset: categories = 'ring' is not valid: it must be 'all' or a list of names, e.g. [ring]",
        ),
        (
            {"dataset": {"categories": "[ring"}},
            "dataset: categories = '[ring' is not valid: it must be 'all' or a list of names, e.g. [ring]",
        ),
        (
            {"dataset": {"categories": ["a", "a"]}},
            "categories = ['a', 'a'] is not valid: 'a' is listed twice; remove one",
        ),
        ({"dataset": {"unreadable": True}}, "dataset: unreadable = true is not valid; choose from: stop, skip, null"),
        ({"extraction": {"batch": True}}, "extraction: batch = true is not valid: it must be a whole number"),
        ({"extraction": {"workers": 1.5}}, "workers = 1.5 is not valid: it must be a whole number or null"),
        ({"extraction": {"compile": "maybe"}}, "compile = 'maybe' is not valid: it must be true or false"),
        (
            {"methods": {"mine": {"scorer": "memory_bank", "seeds": [0, "x"]}}},
            "configuration: item 2 of methods.mine.seeds = 'x' is not valid: it must be a whole number",
        ),
        (
            {"methods": {"mine": {"scorer": "mutual", "image_score": {"fractio": 1}}}},
            "unknown key 'fractio' in 'methods.mine.image_score'; did you mean 'fraction'?",
        ),
        ({"image_score": {"fraction": 3}}, "image_score: fraction = 3 is not valid: it must be at most 1"),
        ({"report": {"colormap": 5}}, "'report.colormap' must be text, but YAML reads it as the number 5"),
        ({"threshold": {"z": 4}}, "configuration: unknown key 'z' in 'threshold'; choose from: params, rule"),
        ({"dataset": {"root": {"a" * 50: "b" * 50}}}, "... is not valid: it must be text or null"),
    ],
)
def test_each_mistake_has_a_sentence_of_its_own(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate_config(wrong)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_item_is_said_and_not_that_nothing_is_left_of_its_list() -> None:
    with pytest.raises(ConfigError, match=r"^here: item 1 of symmetries = 'diagonal' is not valid; choose from: hor"):
        SCORERS.build("mirror_symmetry", {"symmetries": ["diagonal"]}, where="here")
