"""One model of the configuration: what is written from it agrees with it, and it completes what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from zsad.errors import ConfigError
from zsad.workflow import settings
from zsad.workflow.schema import Config, checked, default_config
from zsad.workflow.settings import DEFAULT_PATH, Settings, load
from zsad.workflow.written_config import SCHEMA_PATH, config_text, schema_text


def test_config_yaml_is_written_from_the_model() -> None:
    assert DEFAULT_PATH.read_text(encoding="utf-8") == config_text(), "run `make config`"


def test_the_schema_for_editors_is_that_of_the_model() -> None:
    assert SCHEMA_PATH.read_text(encoding="utf-8") == schema_text(), "run `make config`"


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
    some = Settings({"methods": {"mine": {"scorer": "mutual"}}, "evaluation": {"bootstrap": 50}, "refiners": {}} | NONE)
    assert list(some.methods) == ["mine"]
    assert some.refiners == {}
    assert (some.evaluation.bootstrap, some.evaluation.memory_mb) == (50, 1000)
    assert some.config["backbones"] == default_config()["backbones"]


NONE = {"report": {"refiner": "none"}}


def test_a_method_keeps_of_its_own_only_what_it_is_given() -> None:
    own = {"mine": {"scorer": "mutual", "threshold": {"params": {"z": 4}}, "image_score": {"fraction": 0.5}}}
    general = {"threshold": {"rule": "robust_tail", "params": {"z": 7}}, "image_score": {"aggregate": "max"}}
    scoring = Settings({"methods": own, **general}).methods["mine"].scoring
    assert scoring["threshold"]["params"]["z"] == 4
    assert scoring["image_score"] == {"aggregate": "max", "fraction": 0.5, "smoothing": 0.0}


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
            checked({first: wrong.pop(first), **wrong})
    with pytest.raises(ConfigError, match="memory_mb = 1"):
        checked({"scoring": {"memory_mb": 1, "precison": 2}})
    with pytest.raises(ConfigError, match="'precison'"):
        checked({"scoring": {"precison": 2, "memory_mb": 1}})
