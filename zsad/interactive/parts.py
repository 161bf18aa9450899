"""Backbones, scorers, rules and classifiers as people name them: a word and parameters, or one that is made already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zsad.classification.base import Classifier
from zsad.classification.registry import CLASSIFIERS
from zsad.deciding.base import ThresholdRule
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError, nearest_hint
from zsad.features.base import Backbone
from zsad.features.registry import BACKBONES, completed, model_names, named
from zsad.scoring.base import Scorer
from zsad.scoring.registry import SCORERS


def backbone_named(backbone: str | Backbone, params: Mapping[str, Any] | None) -> Backbone:
    """A backbone by its name, the name of a model, a hub id or a path, with parameters; or one that is made already.

    Raises:
        ConfigError: there is none of that name, or it has no such parameter.
    """
    if isinstance(backbone, Backbone):
        if params:
            raise ConfigError("a backbone that is made already has its parameters; leave out params")
        return backbone
    if not isinstance(backbone, str):
        raise ConfigError(f"a backbone is a name, not {backbone!r}; `zsad backbones` lists them")
    family, known = (backbone, {}) if backbone in BACKBONES.names() else named(backbone) or ("", {})
    if not family:
        known_names = [*BACKBONES.names(), *model_names()]
        raise ConfigError(f"there is no backbone '{backbone}'{nearest_hint(backbone, known_names)}")
    chosen = {**known, **mapping(params, "params")}
    return BACKBONES.build(family, completed(family, chosen), where=f"backbone '{backbone}'")


def scorer_named(scorer: str | Scorer, params: Mapping[str, Any] | None) -> Scorer:
    """A scorer by its name, with parameters; or one that is made already.

    Raises:
        ConfigError: there is none of that name, or it has no such parameter.
    """
    if isinstance(scorer, str):
        return SCORERS.build(scorer, mapping(params, "params"))
    if not isinstance(scorer, Scorer):
        raise ConfigError(f"a scorer is a name or a Scorer, not {scorer!r}; `zsad methods` lists them")
    if params:
        raise ConfigError("a scorer that is made already has its parameters; leave out params")
    return scorer


def rule_named(rule: str | ThresholdRule, params: Mapping[str, Any] | None) -> ThresholdRule:
    """A threshold rule by its name, with parameters; or one that is made already.

    Raises:
        ConfigError: there is none of that name, or it has no such parameter.
    """
    if isinstance(rule, str):
        return THRESHOLDS.build(rule, mapping(params, "params"), where=f"threshold rule '{rule}'")
    if not isinstance(rule, ThresholdRule):
        raise ConfigError(f"a threshold rule is a name or a ThresholdRule, not {rule!r}; `zsad methods` lists them")
    if params:
        raise ConfigError("a threshold rule that is made already has its parameters; leave out params")
    return rule


def classifier_named(classifier: str | Classifier, params: Mapping[str, Any] | None) -> Classifier:
    """A classifier by its name, with parameters; or one that is made already.

    Raises:
        ConfigError: there is none of that name, or it has no such parameter.
    """
    if isinstance(classifier, str):
        return CLASSIFIERS.build(classifier, mapping(params, "params"))
    if not isinstance(classifier, Classifier):
        raise ConfigError(f"a classifier is a name or a Classifier, not {classifier!r}; `zsad classifiers` lists them")
    if params:
        raise ConfigError("a classifier that is made already has its parameters; leave out params")
    return classifier


def mapping(params: Mapping[str, Any] | None, what: str) -> Mapping[str, Any]:
    """Parameters by name; none for None.

    Raises:
        ConfigError: they are anything else.
    """
    if params is None or isinstance(params, Mapping):
        return params or {}
    raise ConfigError(f"{what} must be a mapping from names to values, e.g. {{'k': 3}}, not {params!r}")
