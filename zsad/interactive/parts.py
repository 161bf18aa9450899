"""Backbones, scorers, rules and classifiers from a name and parameters, or as an object that exists already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from zsad.classification.base import Classifier
from zsad.classification.registry import CLASSIFIERS
from zsad.deciding.base import ThresholdRule
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError, nearest_hint
from zsad.features.base import Backbone
from zsad.features.registry import BACKBONES, completed, find_family, model_names
from zsad.registry import Choice, Registry
from zsad.scoring.base import Scorer
from zsad.scoring.registry import SCORERS

Made = TypeVar("Made", bound=Choice)


def backbone_named(backbone: str | Backbone, params: Mapping[str, Any] | None) -> Backbone:
    """A backbone from its name, the name of a model, a hub id or a path, with parameters; or a given backbone.

    Raises:
        ConfigError: there is none of this name, or it has no such parameter.
    """
    if isinstance(backbone, Backbone):
        if params:
            raise ConfigError("a backbone object already has its parameters; leave out params")
        return backbone
    if not isinstance(backbone, str):
        raise ConfigError(f"a backbone is a name, not {backbone!r}; `zsad backbones` lists them")
    family, known = (backbone, {}) if backbone in BACKBONES.names() else find_family(backbone) or ("", {})
    if not family:
        known_names = [*BACKBONES.names(), *model_names()]
        raise ConfigError(f"there is no backbone '{backbone}'{nearest_hint(backbone, known_names)}")
    chosen = {**known, **mapping(params, "params")}
    return BACKBONES.build(family, completed(family, chosen), where=f"backbone '{backbone}'")


def scorer_named(scorer: str | Scorer, params: Mapping[str, Any] | None) -> Scorer:
    """A scorer from its name and parameters; or a given scorer.

    Raises:
        ConfigError: there is none of this name, or it has no such parameter.
    """
    if isinstance(scorer, str):
        return _by_name(scorer, params, SCORERS)
    _check_made(isinstance(scorer, Scorer), scorer, params, SCORERS.kind, "Scorer", "zsad methods")
    return scorer


def rule_named(rule: str | ThresholdRule, params: Mapping[str, Any] | None) -> ThresholdRule:
    """A threshold rule from its name and parameters; or a given rule.

    Raises:
        ConfigError: as for `scorer_named`.
    """
    if isinstance(rule, str):
        return _by_name(rule, params, THRESHOLDS)
    _check_made(isinstance(rule, ThresholdRule), rule, params, THRESHOLDS.kind, "ThresholdRule", "zsad methods")
    return rule


def classifier_named(classifier: str | Classifier, params: Mapping[str, Any] | None) -> Classifier:
    """A classifier from its name and parameters; or a given classifier.

    Raises:
        ConfigError: as for `scorer_named`.
    """
    if isinstance(classifier, str):
        return _by_name(classifier, params, CLASSIFIERS)
    _check_made(
        isinstance(classifier, Classifier), classifier, params, CLASSIFIERS.kind, "Classifier", "zsad classifiers"
    )
    return classifier


def _by_name(name: str, params: Mapping[str, Any] | None, registry: Registry[Made]) -> Made:
    return registry.build(name, mapping(params, "params"), where=f"{registry.kind} '{name}'")


def _check_made(
    is_one: bool, given: object, params: Mapping[str, Any] | None, noun: str, kind: str, listed_by: str
) -> None:
    """Refuse arguments that are neither a name nor such an object, and parameters together with an object.

    Args:
        is_one: whether the argument is such an object.
        kind: the name of its class.
    """
    if not is_one:
        raise ConfigError(f"a {noun} is a name or a {kind}, not {given!r}; `{listed_by}` lists them")
    if params:
        raise ConfigError(f"a {noun} object already has its parameters; leave out params")


def mapping(params: Mapping[str, Any] | None, what: str) -> Mapping[str, Any]:
    """Parameters by name; empty for None.

    Raises:
        ConfigError: they are not a mapping.
    """
    if params is None or isinstance(params, Mapping):
        return params or {}
    raise ConfigError(f"{what} must be a mapping from names to values, e.g. {{'k': 3}}, not {params!r}")
